//! The first bytes of a connection: plain or TLS, begun and left, or neither; and --ssl-only.

use std::time::{Duration, Instant};

use super::{Authority, Dialer, bridge_with, s_client, tunnel};
use crate::wire::{UPGRADE, Wire};

/// What the limits of a handshake and of a request's head leave to a silent client.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record's header, and the begin of a ClientHello that says it is 512 bytes long.
const BEGUN: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

#[test]
fn silence_after_the_first_bytes_ends_by_the_clock() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    let began = Instant::now();
    let silent = [&b""[..], b"G", b"\x16", BEGUN].map(|first| {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(first);
        wire
    });
    // Meanwhile others are served.
    tunnel::open(bridge.addr(), &ca).expect_echo("at once");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    for mut wire in silent {
        wire.rest();
        let took = began.elapsed();
        assert!(
            took > PATIENCE * 9 / 10 && took < PATIENCE * 3 / 2,
            "{took:?}"
        );
    }
    bridge.wait_for_line(|line| line.ends_with(" failed: the handshake took too long"));
}

#[test]
fn what_only_looks_like_tls_is_turned_away_and_told() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    for first in [
        &b"\x16GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x04\xff\xff\xff\xff",
        b"\x80\x20\x01\x00\x02\x00\x15\x00\x00\x00\x10garbage, and not the hello of SSL 2",
    ] {
        let began = Instant::now();
        let mut wire = Wire::connect(bridge.addr());
        wire.send(first);
        let answer = wire.rest();
        // An alert, or nothing: no byte of HTTP.
        assert!(matches!(answer.first(), None | Some(0x15)), "{answer:?}");
        assert!(began.elapsed() < PATIENCE / 2);
    }
    let line = bridge.wait_for_line(|line| line.starts_with("tls client=127.0.0.1:"));
    assert!(line.contains(" failed: "), "{line}");
    tunnel::open(bridge.addr(), &ca).expect_echo("unharmed");
}

#[test]
fn a_client_that_comes_and_goes_leaves_no_line() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    for first in [&b""[..], BEGUN] {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(first);
        wire.finish();
        wire.rest();
    }
    // The second broke its handshake off: that one is told.
    bridge.wait_for_line(|line| line.contains(" failed: "));
    assert_eq!(bridge.stderr().matches("tls client=").count(), 1);
}

#[test]
fn one_too_many_is_told_in_what_it_speaks_and_costs_no_handshake() {
    let ca = Authority::new();
    let pair = ca.here();
    let bridge = bridge_with(&[&pair.options()[..], &["--max-connections=1"]].concat());
    let mut inside = tunnel::open(bridge.addr(), &ca);
    // The whole alert: fatal, internal_error.
    let mut tls = Wire::connect(bridge.addr());
    tls.send(BEGUN);
    assert_eq!(tls.rest(), [21, 3, 1, 0, 2, 2, 80]);
    let said = s_client(bridge.addr(), &[]);
    assert!(said.contains("alert internal error"), "{said}");
    let mut plain = Wire::connect(bridge.addr());
    assert_eq!(plain.request(UPGRADE).status, 503);
    // Who says nothing is let go.
    let mut silent = Wire::connect(bridge.addr());
    assert_eq!(silent.rest(), b"");
    inside.expect_echo("undisturbed");
    assert!(!bridge.stderr().contains("tls client="));
}

#[test]
fn without_a_certificate_tls_is_not_spoken() {
    let bridge = bridge_with(&[]);
    let said = s_client(bridge.addr(), &[]);
    assert!(!said.contains("BEGIN CERTIFICATE"), "{said}");
}

#[test]
fn tls_only_sends_pages_to_https_and_turns_websockets_away() {
    let ca = Authority::new();
    let pair = ca.here();
    let mut options = pair.options().to_vec();
    options.push("--ssl-only");
    let bridge = bridge_with(&options);
    for (method, path) in [
        ("GET", "/"),
        ("HEAD", "/vnc.html"),
        ("GET", "/a/b%20c?autoconnect=1&path=x%3Ftoken%3Dy"),
    ] {
        let mut wire = Wire::connect(bridge.addr());
        let answer = wire.request(&format!(
            "{method} {path} HTTP/1.1\r\nHost: desk.example:8\r\n"
        ));
        assert_eq!(answer.status, 308);
        let to = format!("https://desk.example:8{path}");
        assert_eq!(answer.header("location"), Some(to.as_str()));
        // Over plain HTTP anybody could have written it (RFC 6797, 8.1).
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    for head in [
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n",
        "GET / HTTP/1.0\r\n",
    ] {
        let answer = Wire::connect(bridge.addr()).request(head);
        assert_eq!((answer.status, answer.header("location")), (403, None));
    }
    let answer = Wire::connect(bridge.addr()).request(UPGRADE);
    assert_eq!((answer.status, answer.header("location")), (403, None));

    let mut inside = Dialer::new(&ca).dial(bridge.addr()).unwrap();
    let page = inside.wire.request("GET / HTTP/1.1\r\nHost: h\r\n");
    let hsts = Some("max-age=31536000");
    assert_eq!(
        (page.status, page.header("strict-transport-security")),
        (405, hsts)
    );
    tunnel::open(bridge.addr(), &ca).expect_echo("inside");
}

#[test]
fn http_1_1_is_agreed_on_and_nothing_else() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    let agreed = |offered: &str| {
        let said = s_client(bridge.addr(), &["-alpn", offered]);
        assert!(said.contains("HTTP/1.1 405"), "{said}");
        said.lines()
            .find_map(|line| line.strip_prefix("ALPN protocol: "))
            .map(str::to_owned)
    };
    assert_eq!(agreed("h2,http/1.1").as_deref(), Some("http/1.1"));
    assert_eq!(agreed("http/1.1").as_deref(), Some("http/1.1"));
    assert_eq!(agreed("h2"), None);
}
