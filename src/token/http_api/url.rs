//! Addresses to ask, and those that a server sends us on to.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::{PathAndQuery, Scheme};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

use crate::target::Target;

/// All that a token could use to become more than a word of an address (RFC 3986, 2.3).
const TOKEN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An address with a place for a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    origin: Uri,
    before: String,
    after: String,
    credentials: Option<HeaderValue>,
}

impl Template {
    /// Reads a URL with one `%s` in its path or query, as Python's `%` operator does: `%%` is a
    /// percent sign. It may hold a user and a password.
    ///
    /// # Errors
    /// One sentence without the URL: there may be a password in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("--token-source: {what}; it is http(s)://HOST/PATH with %s for the token")
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("this is no URL"))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let origin: Uri = format!("{scheme}://{host}/")
            .parse()
            .ok()
            .filter(|origin| server(origin).is_some())
            .ok_or_else(|| wrong("there is no server in this URL"))?;
        let path = path.split('#').next().unwrap_or_default();
        let (before, after) = path
            .split_once("%s")
            .filter(|(before, _)| whole(before) && !path.is_empty())
            .ok_or_else(|| wrong("there is no %s in its path or query"))?;
        if !whole(after) || after.replace("%%", "").contains('%') {
            return Err(wrong("a % is not %s and not %%"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let template = Self {
            origin,
            before: format!("{slash}{}", written(before)),
            after: written(after),
            credentials: user
                .map(basic)
                .transpose()
                .map_err(|()| wrong("its user"))?,
        };
        template
            .with("token")
            .map(|_| template)
            .ok_or_else(|| wrong("its path or query is not written as in a URL"))
    }

    /// Makes an address, and follows what could be a redirect.
    #[cfg(any(test, fuzzing))]
    pub(in crate::token) fn fuzz(&self, token: &str) {
        if let Some(uri) = self.with(token) {
            assert_eq!(uri.authority(), self.origin.authority());
            let _ = redirected(&uri, token);
        }
    }

    /// The server.
    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The address for a token; `None` if no address can hold it: a dot or two mean another place
    /// however they are written.
    pub(super) fn with(&self, token: &str) -> Option<Uri> {
        if matches!(token, "." | "..") {
            return None;
        }
        let token = utf8_percent_encode(token, TOKEN);
        let path = format!("{}{token}{}", self.before, self.after);
        at(&self.origin, &path)
    }

    /// What to send to the server of `uri` to be let in.
    pub(super) fn credentials(&self, uri: &Uri) -> Option<HeaderValue> {
        let same = uri.scheme() == self.origin.scheme() && server(uri) == server(&self.origin);
        self.credentials.clone().filter(|_| same)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(f)
    }
}

/// What stands beside the token, with what is beyond ASCII encoded.
fn written(text: &str) -> String {
    utf8_percent_encode(&text.replace("%%", "%"), CONTROLS).to_string()
}

/// Whether every percent sign in it is one of a pair.
fn whole(text: &str) -> bool {
    !text.replace("%%", "").contains('%')
}

fn basic(user: &str) -> Result<HeaderValue, ()> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain: Vec<u8> = percent_decode_str(&name.replace("%%", "%")).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(&password.replace("%%", "%")));
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain)));
    let mut value = value.map_err(drop)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The server that an address names, and whether TLS is spoken to it.
pub(super) fn server(uri: &Uri) -> Option<(Target, bool)> {
    let secure = uri.scheme()? == &Scheme::HTTPS;
    if !secure && uri.scheme()? != &Scheme::HTTP {
        return None;
    }
    let authority = uri.authority()?;
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let port = match (authority.port_u16(), secure) {
        (Some(port), _) => port,
        // A colon without a port that can be read.
        (None, _) if authority.as_str().len() > host.len() => return None,
        (None, true) => 443,
        (None, false) => 80,
    };
    let host = bare.unwrap_or(host).to_owned();
    (port > 0 && !host.is_empty()).then_some((Target::Tcp { host, port }, secure))
}

/// Where `location`, answered to a request for `uri`, leads (RFC 9110, 10.2.2). `None` for what is
/// no HTTP, and for the way from TLS to none: the token would be there for all to read.
pub(super) fn redirected(uri: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let whole = location
        .parse::<Uri>()
        .ok()
        .filter(|it| it.scheme().is_some());
    let next = match whole {
        Some(next) => {
            let (path, authority) = (next.path_and_query(), next.authority()?);
            let host = authority.as_str().rsplit('@').next()?;
            let origin = format!("{}://{host}", next.scheme_str()?).parse().ok()?;
            at(&origin, path.map_or("/", PathAndQuery::as_str))?
        }
        None if location.starts_with("//") => {
            return redirected(uri, &format!("{}:{location}", uri.scheme_str()?));
        }
        None if location.starts_with('/') => at(uri, location)?,
        None if location.starts_with('?') => at(uri, &format!("{}{location}", uri.path()))?,
        None => {
            let (folder, _) = uri.path().rsplit_once('/')?;
            at(uri, &format!("{folder}/{location}"))?
        }
    };
    let (_, secure) = server(&next)?;
    (secure || uri.scheme() != Some(&Scheme::HTTPS)).then_some(next)
}

fn at(origin: &Uri, path: &str) -> Option<Uri> {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use hyper::Uri;
    use proptest::prelude::{any, proptest};

    use super::{Template, redirected};

    #[test]
    fn a_token_is_one_word_of_an_address() {
        for (template, token, uri) in [
            ("http://h/%s", "abc", "http://h/abc"),
            ("http://h?%s", "abc", "http://h/?abc"),
            (
                "https://[::1]:8443/vm/%s.json",
                "a",
                "https://[::1]:8443/vm/a.json",
            ),
            (
                "http://h/?a=1&t=%s&b=%%20",
                "a b",
                "http://h/?a=1&t=a%20b&b=%20",
            ),
            (
                "http://h/%s",
                "../b?x=1#y&%2f",
                "http://h/..%2Fb%3Fx%3D1%23y%26%252f",
            ),
            ("http://h/%s", "ü\r\n", "http://h/%C3%BC%0D%0A"),
            ("http://me:secret@h/%s#part", "a", "http://h/a"),
            ("http://h/ü/%s", "a", "http://h/%C3%BC/a"),
        ] {
            let got = Template::parse(template).unwrap().with(token).unwrap();
            assert_eq!(got.to_string(), uri, "{template}");
        }
        let template = Template::parse("http://h/vm/%s").unwrap();
        assert!(template.with("..").is_none() && template.with(".").is_none());
    }

    #[test]
    fn what_is_no_template() {
        for text in [
            "",
            "h/%s",
            "ftp://h/%s",
            "http:///%s",
            "http://h:0/%s",
            "http://h:port/%s",
            "http://h:/%s",
            "http://%s/",
            "http://%s.h/vm",
            "http://h/vm",
            "http://h",
            "http://h/%s/%s",
            "http://h/%d/%s",
            "http://h/%s%",
            "http://h/%s%20",
            "http://h/a b/%s",
            "http://me:secret@/%s",
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_for_one_server_and_never_shown() {
        let template = Template::parse("http://me:s%%40cret@h:80/%s").unwrap();
        let credentials = |uri: &str| template.credentials(&uri.parse().unwrap());
        // me:s@cret
        assert_eq!(credentials("http://h/x").unwrap(), "Basic bWU6c0BjcmV0");
        assert!(credentials("https://h:80/x").is_none() && credentials("http://i/x").is_none());
        assert!(!format!("{template:?}").contains("me"));
    }

    #[test]
    fn redirects() {
        for (from, location, to) in [
            ("http://h/a/b?c", "/d?e", Some("http://h/d?e")),
            ("http://h/a/b?c", "d", Some("http://h/a/d")),
            ("http://h/a/b?c", "?d", Some("http://h/a/b?d")),
            ("http://h:1/a", "//i:2/b", Some("http://i:2/b")),
            ("http://h/a", "https://i/b#c", Some("https://i/b")),
            ("http://h/a", "https://i", Some("https://i/")),
            ("http://h/a", "http://me:secret@i/b", Some("http://i/b")),
            ("https://h/a", "http://h/a", None),
            ("https://h/a", "//i/a", Some("https://i/a")),
            ("http://h/a", "ftp://h/a", None),
            ("http://h/a", "http://h:0/", None),
        ] {
            let got = redirected(&from.parse().unwrap(), location);
            assert_eq!(
                got.map(|it| it.to_string()).as_deref(),
                to,
                "{from} {location}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_token_leaves_its_place(token in any::<String>()) {
            let template = Template::parse("http://h/vm/%s?x=y").unwrap();
            if let Some(uri) = template.with(&token) {
                assert_eq!(uri.authority().unwrap(), "h");
                assert_eq!(uri.query(), Some("x=y"));
                let name = uri.path().strip_prefix("/vm/").unwrap();
                assert!(!name.contains('/') && name != "..");
            }
        }

        #[test]
        fn nothing_panics(text in ".{0,40}", location in ".{0,40}") {
            let _ = Template::parse(&text);
            let _ = Template::parse(&format!("http://{text}"));
            let _ = redirected(&Uri::from_static("http://h/a/b?c"), &location);
        }
    }
}
