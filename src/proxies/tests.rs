//! Who a request is from, by its headers.

use hyper::header::{HeaderMap, HeaderName};

use super::{Caller, Options, Proxies, Trusted};
use crate::listener::Peer;

fn proxies(list: &str) -> Proxies {
    let list: Vec<String> = list.split(',').map(str::to_owned).collect();
    Proxies::new(Options {
        trusted: Trusted::parse(&list).unwrap(),
        accept_header: false,
    })
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    headers
}

/// What `10.0.0.1`, one of the proxies `10.0.0.0/24`, makes of the headers: the client and, if it
/// is said, whether it speaks TLS.
fn found(lines: &[(&'static str, &str)]) -> Result<(String, Option<bool>), u16> {
    let proxies = proxies("10.0.0.0/24,2001:db8:1::/48");
    let peer = Peer::Tcp("10.0.0.1:9".parse().unwrap());
    let caller = Caller {
        peer,
        to: None,
        tls: None,
        trusted: proxies.trusts(&peer),
    };
    proxies
        .client(&caller, &headers(lines))
        .map(|it| (it.peer.to_string(), it.tls))
        .map_err(|refusal| refusal.status.as_u16())
}

const STANDARD: &str = "forwarded";
const OLDER: &str = "x-forwarded-for";
const SCHEME: &str = "x-forwarded-proto";

#[test]
fn the_last_that_is_not_trusted_is_the_client() {
    for (lines, client) in [
        (&[][..], "10.0.0.1:9"),
        (&[(OLDER, "")], "10.0.0.1:9"),
        (&[(OLDER, "192.0.2.1")], "192.0.2.1"),
        (&[(OLDER, "192.0.2.1:80")], "192.0.2.1:80"),
        (&[(OLDER, "2001:db8::1")], "[2001:db8::1]"),
        (&[(OLDER, "198.51.100.9, 192.0.2.1")], "192.0.2.1"),
        (&[(OLDER, "no address, 192.0.2.1")], "192.0.2.1"),
        (
            &[(OLDER, "198.51.100.9, 192.0.2.1, 10.0.0.2,10.0.0.3")],
            "192.0.2.1",
        ),
        (
            &[(OLDER, "198.51.100.9"), (OLDER, "192.0.2.1")],
            "192.0.2.1",
        ),
        (&[(OLDER, "192.0.2.1, 2001:db8:1::5")], "192.0.2.1"),
        // All of them are trusted: the outermost asked by itself.
        (&[(OLDER, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        (&[(OLDER, "192.0.2.1, unknown, 10.0.0.2")], "10.0.0.2"),
        (&[(OLDER, "unknown")], "10.0.0.1:9"),
        (&[(STANDARD, "for=192.0.2.1")], "192.0.2.1"),
        (
            &[(
                STANDARD,
                "for=198.51.100.9, for=\"192.0.2.1:5\", for=10.0.0.2",
            )],
            "192.0.2.1:5",
        ),
        (
            &[(STANDARD, "for=198.51.100.9, for=\"[2001:db8::1]:5\"")],
            "[2001:db8::1]:5",
        ),
        (
            &[(STANDARD, "for=192.0.2.1, for=_hidden, for=10.0.0.2")],
            "10.0.0.2",
        ),
        (
            &[(STANDARD, "for=192.0.2.1, proto=http, for=10.0.0.2")],
            "10.0.0.2",
        ),
        (
            &[(STANDARD, "for=198.51.100.9"), (STANDARD, "for=192.0.2.1")],
            "192.0.2.1",
        ),
        (
            &[(STANDARD, "proto=http"), (OLDER, "192.0.2.1")],
            "192.0.2.1",
        ),
        // They agree about the client, and need not about what is beyond it.
        (
            &[
                (STANDARD, "for=192.0.2.1"),
                (OLDER, "198.51.100.9, 192.0.2.1"),
            ],
            "192.0.2.1",
        ),
    ] {
        let found = found(lines).map(|(client, _)| client);
        assert_eq!(found.as_deref(), Ok(client), "{lines:?}");
    }
}

#[test]
fn what_contradicts_itself_or_cannot_be_read_is_refused() {
    for lines in [
        &[(STANDARD, "for=198.51.100.9"), (OLDER, "192.0.2.1")][..],
        &[(STANDARD, "for=unknown"), (OLDER, "192.0.2.1")],
        &[(STANDARD, "for=198.51.100.9"), (OLDER, "unknown")],
        &[(STANDARD, "for=\"198.51.100.9")],
        &[(STANDARD, "for=192.0.2.1"), (STANDARD, "=")],
        &[(STANDARD, "for=\u{fc}")],
        &[(OLDER, "192.0.2.1, no address")],
        &[(OLDER, "192.0.2.1, \u{fc}")],
        &[(OLDER, "no address, 10.0.0.2")],
    ] {
        assert_eq!(found(lines), Err(400), "{lines:?}");
    }
}

#[test]
fn tls_is_believed_where_each_step_has_it() {
    for (lines, tls) in [
        (&[(OLDER, "192.0.2.1")][..], None),
        (&[(SCHEME, "")], None),
        (&[(SCHEME, "https")], Some(true)),
        (&[(SCHEME, "HTTPS")], Some(true)),
        (&[(SCHEME, "wss")], Some(true)),
        (&[(SCHEME, "http")], Some(false)),
        (&[(SCHEME, "https, http")], Some(false)),
        (&[(SCHEME, "http"), (SCHEME, "https")], Some(false)),
        (&[(STANDARD, "for=192.0.2.1;proto=https")], Some(true)),
        // Between proxies there may be none, and beyond the client anything.
        (
            &[(
                STANDARD,
                "for=192.0.2.1;proto=https, for=10.0.0.2;proto=http",
            )],
            Some(true),
        ),
        (
            &[(
                STANDARD,
                "for=198.51.100.9;proto=https, for=192.0.2.1;proto=http",
            )],
            Some(false),
        ),
        (
            &[(STANDARD, "for=198.51.100.9;proto=https, for=192.0.2.1")],
            None,
        ),
        (
            &[(STANDARD, "for=unknown;proto=https, for=10.0.0.2")],
            Some(true),
        ),
        (
            &[(STANDARD, "proto=https"), (OLDER, "192.0.2.1")],
            Some(true),
        ),
        (&[(STANDARD, "proto=http, proto=https")], Some(false)),
        (
            &[(STANDARD, "for=192.0.2.1;proto=https"), (SCHEME, "http")],
            Some(false),
        ),
    ] {
        assert_eq!(found(lines).map(|(_, tls)| tls), Ok(tls), "{lines:?}");
    }
}

#[test]
fn nobody_else_is_believed() {
    let proxies = proxies("10.0.0.0/24,unix");
    let lines = headers(&[
        (OLDER, "192.0.2.1"),
        (SCHEME, "https"),
        (STANDARD, "for=\""),
    ]);
    let unix = Peer::Unix {
        uid: Some(7),
        pid: None,
    };
    for (peer, trusted) in [
        (Peer::Tcp("10.0.1.1:9".parse().unwrap()), false),
        (Peer::Tcp("127.0.0.1:9".parse().unwrap()), false),
        (unix, true),
    ] {
        assert_eq!(proxies.trusts(&peer), trusted);
    }
    let caller = Caller {
        peer: Peer::Tcp("10.0.0.1:9".parse().unwrap()),
        to: None,
        tls: None,
        trusted: false,
    };
    let client = proxies.client(&caller, &lines).unwrap();
    assert_eq!(
        (client.peer.to_string().as_str(), client.tls),
        ("10.0.0.1:9", None)
    );
}
