//! Requests of every bad shape, and those that two readers would take for different ones: each is
//! refused, and nothing behind it is ever answered.

use std::fs;

use super::{Siege, target};
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire};

/// Would be answered with a page, if it were taken for a request.
const NEXT: &str = "GET /page HTTP/1.1\r\nHost: h\r\n\r\n";

/// Sends `bytes` and a request behind them, and nothing more; returns the status of each answer.
fn answers(siege: &Siege, bytes: &str) -> Vec<u16> {
    let mut wire = Wire::connect(siege.addr());
    wire.send(format!("{bytes}{NEXT}"));
    wire.finish();
    let said = String::from_utf8_lossy(&wire.rest()).into_owned();
    let statuses = said.split("HTTP/1.1 ").skip(1);
    statuses.map(|it| it[..3].parse().unwrap()).collect()
}

#[test]
fn nothing_behind_them_is_a_request() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("page"), "a page").unwrap();
    let web = format!("--web={}", site.path().display());
    let bridge = Bridge::start(&[&web, "127.0.0.1:{port}", &target().to_string()]);
    let siege = Siege::of(bridge);
    assert_eq!(answers(&siege, NEXT), [200, 200]);
    begins(&siege);
    sizes(&siege);
    headers(&siege);
    bodies(&siege);
    websockets(&siege);
    siege.ends("heads");
}

/// Request lines.
fn begins(siege: &Siege) {
    for line in [
        "GET / HTTP/1.1 ",
        "GET /",
        "GET / HTTP/2.0",
        "GET / HTTP/1.2",
        "GET / http/1.1",
        "GET  / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        " GET / HTTP/1.1",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET / HTTP/1.1\rA: b",
        "PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let got = answers(siege, &format!("{line}\r\nHost: h\r\n\r\n"));
        assert_eq!(got, [400], "{line:?}");
    }
}

/// More than a head may have, of each of its parts.
fn sizes(siege: &Siege) {
    let long = "x".repeat(60_000);
    for (head, status) in [
        (format!("{long} / HTTP/1.1\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{long}: x\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nX: {long}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(101)), 431),
        (format!("GET / HTTP/1.1\r\n{}", ": \r\n".repeat(9000)), 400),
    ] {
        let begin: String = head.chars().take(20).collect();
        assert_eq!(answers(siege, &format!("{head}\r\n")), [status], "{begin}");
    }
}

/// Header lines, in requests for a page and for a WebSocket.
fn headers(siege: &Siege) {
    for line in [
        "no colon",
        ": no name",
        "space : before the colon",
        " space: before the name",
        "A: b\r\n folded",
        "A: b\r\n\tfolded",
        "A: b\0c",
        "A\0: b",
        "A: b\rc",
        "A: b\x01",
        "A: b\x7f",
        "(A): b",
        "\u{e9}: b",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: 0x1",
        "Content-Length: 1 1",
        "Content-Length: 1, 1",
        "Content-Length:",
        "Content-Length: 18446744073709551615",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 0\r\nContent-Length: 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ] {
        for begin in ["GET /page HTTP/1.1\r\nHost: h\r\n", UPGRADE] {
            let got = answers(siege, &format!("{begin}{line}\r\n\r\n"));
            // Some are told that they are too large.
            assert!(matches!(got[..], [400 | 431]), "{line:?}: {got:?}");
        }
    }
}

/// Whoever sees another end of a body would see another request behind it.
fn bodies(siege: &Siege) {
    for line in [
        "Content-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: CHUNKED",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    ] {
        for (begin, status) in [
            ("GET /page HTTP/1.1\r\nHost: h\r\n", 200),
            ("POST /page HTTP/1.1\r\nHost: h\r\n", 405),
            (UPGRADE, 400),
        ] {
            for body in [
                "",
                "hello",
                "0\r\n\r\n",
                "5\r\nhello\r\n0\r\n\r\n",
                "5;a=b\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
                "ffffffffffffffff\r\nx",
                "fffffffffffffffff\r\nx",
                "-1\r\nx\r\n0\r\n\r\n",
                "1\nx\n0\n\n",
            ] {
                let got = answers(siege, &format!("{begin}{line}\r\n\r\n{body}"));
                assert_eq!(got, [status], "{line:?} {body:?}");
            }
        }
    }
}

/// A proxy in between may think that a WebSocket was let in which was not, and pass on what the
/// client says then.
fn websockets(siege: &Siege) {
    for (change, to, status) in [
        ("Version: 13", "Version: 14", 426),
        ("Version: 13", "Version:", 426),
        ("Key: d", "Key: ", 400),
        ("Connection: Upgrade", "Connection: keep-alive", 400),
        ("Host: bridge", "Sec-WebSocket-Protocol: chat", 400),
        ("Host: bridge", "Host: bridge", 101),
    ] {
        let head = UPGRADE.replace(change, to);
        assert_eq!(answers(siege, &format!("{head}\r\n")), [status], "{to}");
    }
}
