//! `ExpectOrigin`: which web pages may open a WebSocket.
//!
//! A browser says where the page is from that runs the script; other programs say what they like.
//! So this protects users from strange pages, and nothing from strange programs.

use hyper::HeaderMap;
use hyper::header::{HeaderName, ORIGIN};

use super::Wants;
use super::verdict::Denied;

/// What drafts 07 to 10 of the protocol call it.
const SEC_WEBSOCKET_ORIGIN: HeaderName = HeaderName::from_static("sec-websocket-origin");

/// The pages that may.
#[derive(Clone, Debug)]
pub struct Origins(Vec<Pattern>);

/// Everything in it is in lower case: browsers write scheme and host so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exactly(String),
    /// One or more labels between the two: `https://` and `.example.org`, with a port if any.
    Beneath(String, String),
}

impl Origins {
    /// Reads a list that is separated by whitespace.
    ///
    /// # Errors
    /// One sentence about the first that no browser would say.
    pub fn parse(list: &str) -> Result<Self, String> {
        let origins: Vec<Pattern> = list
            .split_whitespace()
            .map(Pattern::parse)
            .collect::<Result<_, _>>()?;
        if origins.is_empty() {
            return Err("ExpectOrigin needs --auth-source='https://host …'".to_owned());
        }
        Ok(Self(origins))
    }

    pub(super) fn judge(&self, headers: &HeaderMap, wants: Wants) -> Result<(), Denied> {
        let old =
            matches!(headers.get("sec-websocket-version"), Some(it) if it == "7" || it == "8");
        let name = if old && !headers.contains_key(ORIGIN) {
            SEC_WEBSOCKET_ORIGIN
        } else {
            ORIGIN
        };
        let mut given = headers.get_all(name).iter();
        let denied = |reason| Denied::forbidden(reason, "Invalid Origin");
        match (given.next(), given.next()) {
            // Browsers say nothing when a user opens a page.
            (None, _) if wants == Wants::Page => Ok(()),
            (None, _) => Err(denied("no origin")),
            (Some(_), Some(_)) => Err(denied("several origins")),
            (Some(one), None) => {
                let origin = String::from_utf8_lossy(one.as_bytes());
                if self.contains(&origin) {
                    return Ok(());
                }
                let denied = denied("origin not listed");
                Err(denied.about("origin", origin.into_owned()))
            }
        }
    }

    pub(super) fn contains(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.0.iter().any(|pattern| pattern.fits(&origin))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let Some((scheme, host)) = lower.split_once("://") else {
            return Err(format!(
                "ExpectOrigin: '{text}' is not an origin like https://host or https://*.host"
            ));
        };
        if scheme.is_empty() || host.contains('/') {
            return Err(format!(
                "ExpectOrigin: '{text}' goes on behind host and port"
            ));
        }
        // Browsers leave a scheme's own port out.
        let usual = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        let host = host.strip_suffix(usual).unwrap_or(host);
        match host.strip_prefix('*') {
            None if host.contains('*') => {}
            None => return Ok(Self::Exactly(format!("{scheme}://{host}"))),
            Some(parent) if parent.contains('*') => {}
            Some(parent) if parent.len() > 1 && parent.starts_with('.') => {
                return Ok(Self::Beneath(format!("{scheme}://"), parent.to_owned()));
            }
            Some(_) => {}
        }
        Err(format!(
            "ExpectOrigin: '{text}': a * stands for the first labels of a host, as in https://*.host"
        ))
    }

    fn fits(&self, origin: &str) -> bool {
        match self {
            Self::Exactly(one) => origin == one,
            Self::Beneath(scheme, parent) => origin
                .strip_prefix(scheme.as_str())
                .and_then(|host| host.strip_suffix(parent.as_str()))
                .is_some_and(|labels| labels.split('.').all(is_label)),
        }
    }
}

fn is_label(text: &str) -> bool {
    let is_in_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(is_in_label)
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn exactly_these_and_what_is_beneath_a_wildcard() {
        let list = "https://a.example  HTTP://B.example:8080 https://*.example.org \
                    https://*.port.example:444 https://usual.example:443";
        let origins = Origins::parse(list).unwrap();
        for origin in [
            "https://a.example",
            "HTTPS://A.example",
            "http://b.example:8080",
            "https://x.example.org",
            "https://y.x.example.org",
            "https://x.port.example:444",
            "https://usual.example",
        ] {
            assert!(origins.contains(origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "http://a.example",
            "https://a.example/",
            "https://a.example:8443",
            "https://a.example.evil.example",
            "https://evil.example/.example.org",
            "https://evil.example:1.example.org",
            "https://u@x.example.org",
            "https://example.org",
            "https://.example.org",
            "https://x..example.org",
            "https://xexample.org",
            "http://x.example.org",
            "https://x.example.org:444",
            "https://x.port.example",
        ] {
            assert!(!origins.contains(origin), "{origin}");
        }
    }

    #[test]
    fn what_no_browser_says_is_no_origin() {
        for list in [
            "",
            "  ",
            "*",
            "null",
            "a.example",
            "https://*",
            "https://*.",
            "https://*example.org",
            "https://x.*.example.org",
            "https://*.*.example.org",
            "https://a.example/",
            "https://a.example/vnc.html",
            "://a.example",
        ] {
            assert!(Origins::parse(list).is_err(), "{list}");
        }
    }
}
