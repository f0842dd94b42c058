//! The head of an HTTP answer.

/// Status and headers, as they came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Response {
    pub(crate) fn parse(head: &[u8]) -> Self {
        let head = std::str::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let (version, rest) = status_line.split_at(9);
        assert!(
            matches!(version, "HTTP/1.1 " | "HTTP/1.0 "),
            "status line {status_line:?}"
        );
        let status = rest[..3].parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        Self {
            status,
            headers: headers.collect(),
        }
    }

    /// The value of a header, `name` in lower case; there may be only one of it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|header| header.0 == name);
        let value = values.next().map(|header| header.1.as_str());
        assert!(values.next().is_none(), "two {name} headers");
        value
    }
}
