//! `--token-source` of TokenRedis.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use redis::parse_redis_url;

use crate::target::{Target, parse_port};
use crate::tls::certificate::Pair;
use crate::tls::client;

/// Which server to ask, as whom, and for which keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    pub(super) target: Target,
    pub(super) tls: Option<client::Options>,
    pub(super) db: i64,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// What stands before a token in its key.
    pub(super) prefix: String,
}

const PORT: u16 = 6379;

impl Source {
    /// Reads `host[:port[:db[:password[:namespace]]]]` as websockify does, where fields may be
    /// empty or `"quoted"`; or a URL: `redis://`, `rediss://` or `unix://`.
    ///
    /// # Errors
    /// One sentence without the text: there may be a password in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return from_url(text).map_err(|what| {
                format!(
                    "--token-source: {what}; it is \
                     redis[s]://[USER:PASSWORD@]HOST[:PORT][/DB][?namespace=NS] or \
                     unix://[USER:PASSWORD@]/PATH[?db=DB&namespace=NS]"
                )
            });
        }
        let wrong = || {
            "The provided --token-source is not in the expected format \
             <host>[:<port>[:<db>[:<password>[:<namespace>]]]]"
                .to_owned()
        };
        let fields = fields(text);
        let [host, rest @ ..] = fields.as_slice() else {
            return Err(wrong());
        };
        let field = |at: usize| rest.get(at).copied().filter(|it| !it.is_empty());
        let port = field(0).map_or(Some(PORT), parse_port);
        let db = field(1).map_or(Some(0), |db| db.parse().ok());
        match (port, db) {
            (Some(port @ 1..), Some(db @ 0..)) if !host.is_empty() && rest.len() <= 4 => Ok(Self {
                target: Target::Tcp {
                    host: (*host).to_owned(),
                    port,
                },
                tls: None,
                db,
                user: None,
                password: field(2).map(str::to_owned),
                prefix: field(3).map_or(String::new(), |it| format!("{it}:")),
            }),
            _ => Err(wrong()),
        }
    }

    /// Every file that it names.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.tls.iter().flat_map(client::Options::files).collect()
    }
}

/// Splits at colons. A field in quotes may hold some, and so may an address in brackets in the
/// first.
fn fields(text: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let enclosed = enclosed(text, '"', '"')
            .or_else(|| enclosed(text, '[', ']').filter(|_| fields.is_empty()));
        let (field, behind) = match (enclosed, text.split_once(':')) {
            (Some(found), _) => found,
            (None, Some((field, behind))) => (field, Some(behind)),
            (None, None) => (text, None),
        };
        fields.push(field);
        rest = behind;
    }
    fields
}

/// A field between two marks, if that is all of it, and what is behind its colon.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, Option<&str>)> {
    let (field, behind) = text.strip_prefix(open)?.split_once(close)?;
    if field.is_empty() {
        None
    } else if behind.is_empty() {
        Some((field, None))
    } else {
        Some((field, Some(behind.strip_prefix(':')?)))
    }
}

fn from_url(text: &str) -> Result<Source, &'static str> {
    // A user without a host is nothing to the parser, and what redis-py's users write.
    let text = match text
        .strip_prefix("unix://")
        .and_then(|it| it.split_once('/'))
    {
        Some((user, path)) if user.ends_with('@') => &format!("unix://{user}localhost/{path}"),
        _ => text,
    };
    let url = parse_redis_url(text).ok_or("this is no URL of a Redis server")?;
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|it| it.into_owned())
            .map_err(|_| "it is not UTF-8")
    };
    let some = |text: &str| {
        Some(text)
            .filter(|it| !it.is_empty())
            .map(decoded)
            .transpose()
    };
    let secure = url.scheme() == "rediss";
    let path = decoded(url.path())?;
    let (target, db) = match url.scheme() {
        "redis" | "rediss" => {
            let host = url
                .host_str()
                .filter(|it| !it.is_empty())
                .ok_or("it has no host")?;
            let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            let port = url.port().unwrap_or(PORT);
            let host = decoded(bare.unwrap_or(host))?;
            let db = path.trim_start_matches('/');
            (Target::Tcp { host, port }, Some(db.to_owned()))
        }
        "unix" if matches!(url.host_str(), None | Some("" | "localhost")) && path.len() > 1 => {
            (Target::Unix(path.into()), None)
        }
        _ => return Err("this is no URL of a Redis server"),
    };
    if matches!(target, Target::Tcp { port: 0, .. }) {
        return Err("port 0 cannot be connected to");
    }
    let mut source = Source {
        target,
        tls: None,
        db: 0,
        user: some(url.username())?,
        password: url.password().map(decoded).transpose()?,
        prefix: String::new(),
    };
    let mut db = db.filter(|it| !it.is_empty());
    let (mut authorities, mut certificate, mut key) = (None, None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "db" => db = Some(value.into_owned()),
            "namespace" => source.prefix = format!("{value}:"),
            // As redis-py calls them.
            "ssl_ca_certs" if secure => authorities = Some(value.into_owned().into()),
            "ssl_certfile" if secure => certificate = Some(value.into_owned().into()),
            "ssl_keyfile" if secure => key = Some(value.into_owned().into()),
            _ => return Err("it has a parameter that is not known here"),
        }
    }
    if let Some(db) = db {
        source.db = db
            .parse()
            .ok()
            .filter(|db| *db >= 0)
            .ok_or("its database is no number")?;
    }
    if key.is_some() && certificate.is_none() {
        return Err("ssl_keyfile needs ssl_certfile");
    }
    source.tls = secure.then(|| client::Options {
        authorities,
        certificate: certificate.map(|certificate| Pair { certificate, key }),
        ..client::Options::default()
    });
    Ok(source)
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Source, fields};
    use crate::target::Target;

    /// As websockify's own parser has it.
    #[test]
    fn fields_and_quotes() {
        for (text, parts) in [
            ("a", &["a"][..]),
            ("a:b:c:d:e", &["a", "b", "c", "d", "e"]),
            ("a::b:", &["a", "", "b", ""]),
            ("a:\"b:c\":d", &["a", "b:c", "d"]),
            ("\"a:b\"", &["a:b"]),
            ("a:\"b:c", &["a", "\"b", "c"]),
            ("a:\"b\"c:d", &["a", "\"b\"c", "d"]),
            ("a:\"\":d", &["a", "\"\"", "d"]),
            ("a:b\"c:d\"", &["a", "b\"c", "d\""]),
            ("[::1]:1:[2]", &["::1", "1", "[2]"]),
        ] {
            assert_eq!(fields(text), parts, "{text}");
        }
    }

    fn tcp(host: &str, port: u16) -> Target {
        Target::Tcp {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn sources() {
        for (text, target, db, user, password, prefix) in [
            ("h", tcp("h", 6379), 0, None, None, ""),
            ("h:1:2:p:n", tcp("h", 1), 2, None, Some("p"), "n:"),
            ("h::::\"a:b\"", tcp("h", 6379), 0, None, None, "a:b:"),
            ("h:::\"p:q\"", tcp("h", 6379), 0, None, Some("p:q"), ""),
            ("\"::1\":1", tcp("::1", 1), 0, None, None, ""),
            ("[::1]", tcp("::1", 6379), 0, None, None, ""),
            ("redis://h", tcp("h", 6379), 0, None, None, ""),
            ("redis://h/", tcp("h", 6379), 0, None, None, ""),
            (
                "redis://u:p%40@[::1]:1/2?namespace=a:b",
                tcp("::1", 1),
                2,
                Some("u"),
                Some("p@"),
                "a:b:",
            ),
            ("redis://:p@h", tcp("h", 6379), 0, None, Some("p"), ""),
            (
                "unix:///s%20t?db=3",
                Target::Unix("/s t".into()),
                3,
                None,
                None,
                "",
            ),
            (
                "unix://u:p@/s",
                Target::Unix("/s".into()),
                0,
                Some("u"),
                Some("p"),
                "",
            ),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.target, target, "{text}");
            let (user, password) = (user.map(str::to_owned), password.map(str::to_owned));
            assert_eq!(
                (
                    source.db,
                    source.user,
                    source.password,
                    source.prefix,
                    source.tls.is_some()
                ),
                (db, user, password, prefix.to_owned(), false),
                "{text}"
            );
        }
        let secure = Source::parse("rediss://h?ssl_ca_certs=/ca")
            .unwrap()
            .tls
            .unwrap();
        assert_eq!(secure.authorities.unwrap().as_os_str(), "/ca");
    }

    #[test]
    fn what_is_no_source_is_told_without_its_password() {
        for text in [
            "",
            ":1:0:secret",
            "h:0:0:secret",
            "h:x:0:secret",
            "h:1:x:secret",
            "h:1:-1:secret",
            "h:1:2:secret:n:more",
            "http://me:secret@h",
            "redis://me:secret@",
            "redis://me:secret@h:0",
            "redis://me:secret@h/x",
            "redis://me:secret@h/-1",
            "redis://me:secret@h?ssl_ca_certs=/ca",
            "rediss://me:secret@h?ssl_keyfile=/key",
            "rediss://me:secret@h?ssl_cert_reqs=none",
            "unix://me:secret@h/s",
            "unix://",
            "redis+unix:///s",
        ] {
            let error = Source::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        let shown = format!("{:?}", Source::parse("h:1:2:secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), more in "[\\[\\]\":/@?&=a1%]{0,30}") {
            let _ = Source::parse(&text);
            for scheme in ["", "redis://", "rediss://", "unix://"] {
                let _ = Source::parse(&format!("{scheme}{more}"));
            }
        }
    }
}
