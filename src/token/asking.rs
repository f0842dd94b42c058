//! Where in a request its token is.

use std::borrow::Cow;

use hyper::Request;
use hyper::header::{HOST, HeaderName};
use percent_encoding::percent_decode_str;

/// Where to look for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// `?token=`, as websockify does.
    Query,
    /// The last part of the path.
    Path,
    /// The name in `Host`, without a port (`--host-token`).
    Host,
    /// A header that a reverse proxy writes.
    Header(HeaderName),
}

impl From {
    /// Reads `query`, `path`, `host` or `header:NAME`.
    ///
    /// # Errors
    /// One sentence that quotes the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let header = text
            .strip_prefix("header:")
            .map(|name| HeaderName::try_from(name).map(Self::Header));
        match (text, header) {
            ("query", _) => Ok(Self::Query),
            ("path", _) => Ok(Self::Path),
            ("host", _) => Ok(Self::Host),
            (_, Some(Ok(header))) => Ok(header),
            _ => Err(format!(
                "--token-from: '{text}' is not query, path, host or header:NAME"
            )),
        }
    }

    /// The token of a request; an empty one is none.
    pub(super) fn token(&self, request: &Request<()>) -> Option<String> {
        let header = |name: &HeaderName| {
            let mut values = request.headers().get_all(name).iter();
            let value = values.next()?;
            // Of several, one may be the client's own that a proxy has let through.
            values.next().is_none().then(|| value.to_str().ok())?
        };
        let token = match self {
            Self::Query => in_query(request.uri().query()?)?,
            Self::Path => {
                let path = request.uri().path().trim_end_matches('/');
                decoded(path.rsplit('/').next()?)
            }
            Self::Host => host(header(&HOST)?).to_owned(),
            Self::Header(name) => header(name)?.trim().to_owned(),
        };
        Some(token).filter(|token| !token.is_empty())
    }
}

/// The first `token` that is not empty, as Python's `parse_qs` reads a query; line ends behind it
/// are websockify's to remove.
fn in_query(query: &str) -> Option<String> {
    let plus = |text: &str| text.replace('+', " ");
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| !value.is_empty() && decoded(&plus(name)) == "token")
        .map(|(_, value)| decoded(&plus(value)).trim_end_matches('\n').to_owned())
        .next()
}

fn decoded(text: &str) -> String {
    let decoded: Cow<'_, str> = percent_decode_str(text).decode_utf8_lossy();
    decoded.into_owned()
}

/// Without the port, and without brackets.
fn host(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((address, _)) => address,
        None => text.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::From;

    fn asked(from: &str, target: &str) -> Option<String> {
        let request = Request::get(target)
            .header("Host", "vm-1.example.org:6080")
            .header("X-Token", " abc ");
        let request = request.body(()).unwrap();
        From::parse(from).unwrap().token(&request)
    }

    /// The same answers that `parse_qs(urlparse(path)[4])` gives.
    #[test]
    fn a_query_as_python_reads_it() {
        for (target, token) in [
            ("/?token=abc", Some("abc")),
            ("/websockify?a=b&token=abc&token=def", Some("abc")),
            ("/?token=&token=def", Some("def")),
            ("/?token=a%2Fb+c%20d", Some("a/b c d")),
            ("/?t%6Fken=abc", Some("abc")),
            ("/?token=a;b", Some("a;b")),
            ("/?token=a=b", Some("a=b")),
            ("/?token=abc%0A%0a", Some("abc")),
            ("/?token=%ff", Some("\u{fffd}")),
            ("/?token=%zz", Some("%zz")),
            ("/?x=1;token=abc", None),
            ("/?Token=abc", None),
            ("/?token", None),
            ("/?token=", None),
            ("/", None),
            ("/token=abc", None),
        ] {
            assert_eq!(asked("query", target).as_deref(), token, "{target}");
        }
    }

    proptest! {
        #[test]
        fn any_token_comes_through_a_query(token in "\\PC{1,40}", before in "[a-su-z=&+%]{0,20}") {
            let encoded = utf8_percent_encode(&token, NON_ALPHANUMERIC);
            let target = format!("/x?{before}&token={encoded}&token=other");
            prop_assert_eq!(asked("query", &target), Some(token));
        }
    }

    #[test]
    fn elsewhere() {
        for (from, target, token) in [
            ("path", "/websockify/abc", Some("abc")),
            ("path", "/a%2Fb/?token=no", Some("a/b")),
            ("path", "/", None),
            ("host", "/", Some("vm-1.example.org")),
            ("header:x-token", "/?token=no", Some("abc")),
            ("header:y-token", "/?token=no", None),
        ] {
            assert_eq!(asked(from, target).as_deref(), token, "{from} {target}");
        }
        let twice = Request::get("/")
            .header("Host", "vm2")
            .header("Host", "vm1");
        let twice = twice.header("X-Token", "b").header("X-Token", "a");
        let twice = twice.body(()).unwrap();
        for from in ["host", "header:x-token"] {
            assert_eq!(From::parse(from).unwrap().token(&twice), None, "{from}");
        }
        assert_eq!(super::host("[::1]:80"), "::1");
        assert!(From::parse("header:a b").is_err() && From::parse("cookie").is_err());
    }
}
