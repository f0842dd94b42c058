//! Which pages may show ours in a frame of theirs (--frame-ancestors).

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, X_FRAME_OPTIONS};

/// The policy, as headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    policy: HeaderValue,
    /// The same for browsers from before there were policies, where they have a word for it.
    older: Option<HeaderValue>,
}

impl Frames {
    /// Reads `none`, `self`, and origins as a policy names them (CSP Level 3, 2.3.1): a scheme, or
    /// a host with or without scheme, port and `*.` in front.
    ///
    /// # Errors
    /// One sentence about the first that is none of them.
    pub fn parse(list: &[String]) -> Result<Option<Self>, String> {
        let mut sources = Vec::new();
        for text in list.iter().flat_map(|text| text.split_whitespace()) {
            sources.push(match text.trim_matches('\'') {
                "none" => "'none'",
                "self" => "'self'",
                _ if is_source(text) => text,
                _ => {
                    return Err(format!(
                        "--frame-ancestors: '{text}' is neither 'none' nor 'self' nor an origin \
                         like https://portal.example.org"
                    ));
                }
            });
        }
        let older = match sources.as_slice() {
            [] => return Ok(None),
            ["'none'"] => Some(HeaderValue::from_static("DENY")),
            ["'self'"] => Some(HeaderValue::from_static("SAMEORIGIN")),
            several if several.contains(&"'none'") => {
                return Err("--frame-ancestors: 'none' stands alone".to_owned());
            }
            _ => None,
        };
        let policy = format!("frame-ancestors {}", sources.join(" "));
        let policy = HeaderValue::try_from(policy).map_err(|error| error.to_string())?;
        Ok(Some(Self { policy, older }))
    }

    /// Adds them to an answer's headers: a policy that is there already still holds.
    pub(super) fn sign(&self, headers: &mut HeaderMap) {
        headers.append(CONTENT_SECURITY_POLICY, self.policy.clone());
        if let Some(older) = &self.older {
            headers.insert(X_FRAME_OPTIONS, older.clone());
        }
    }
}

fn is_source(text: &str) -> bool {
    let is_scheme = |text: &str| {
        text.starts_with(|it: char| it.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it))
    };
    if let Some(scheme) = text.strip_suffix(':') {
        return is_scheme(scheme);
    }
    let host = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        Some(_) => return false,
        None => text,
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    let is_port = |port: &str| {
        port == "*" || (!port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()))
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    let labels = host.strip_prefix("*.").unwrap_or(host);
    port.is_none_or(is_port) && labels.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{CONTENT_SECURITY_POLICY, X_FRAME_OPTIONS};

    use super::Frames;

    fn headers(list: &[&str]) -> Result<(String, Option<String>), String> {
        let list: Vec<String> = list.iter().map(|it| (*it).to_owned()).collect();
        let frames = Frames::parse(&list)?.ok_or("nothing")?;
        let mut headers = HeaderMap::new();
        frames.sign(&mut headers);
        let text = |name| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
        Ok((
            text(CONTENT_SECURITY_POLICY).unwrap(),
            text(X_FRAME_OPTIONS),
        ))
    }

    #[test]
    fn old_browsers_are_told_what_they_have_a_word_for() {
        for (list, policy, older) in [
            (&["none"][..], "'none'", Some("DENY")),
            (&["'self'"], "'self'", Some("SAMEORIGIN")),
            (
                &["self", "https://a.example"],
                "'self' https://a.example",
                None,
            ),
            (
                &["https://a.example:8443 https://*.b.example"],
                "https://a.example:8443 https://*.b.example",
                None,
            ),
            (&["https:", "localhost:*"], "https: localhost:*", None),
        ] {
            let expected = (
                format!("frame-ancestors {policy}"),
                older.map(str::to_owned),
            );
            assert_eq!(headers(list), Ok(expected), "{list:?}");
        }
        assert_eq!(headers(&[]), Err("nothing".into()));
    }

    #[test]
    fn what_would_be_another_policy_or_none() {
        for text in [
            "a;script-src",
            "a,b",
            "*",
            "*.",
            "https://",
            "://a",
            "https://a/b",
            "a:b",
            "1:",
            "'unsafe'",
            "https://a..b",
            "https://*",
            "https://u@a",
            "ü",
            "a\u{7f}",
        ] {
            assert!(
                headers(&[text]).is_err_and(|it| it.contains(text)),
                "{text}"
            );
        }
        assert!(headers(&["none", "self"]).is_err_and(|it| it.contains("alone")));
    }
}
