//! The PROXY protocol to the target.

use crate::backend::{self, Heard};
use crate::bridge::Bridge;
use crate::tls::text;
use crate::wire::{Frame, UPGRADE, Wire, Ws};

const TRUSTED: &str = "--trusted-proxy=127.0.0.1,unix";

/// What the target hears of a session that says `hello`.
fn hears(wire: Wire, headers: &str, heard: &Heard) -> Vec<u8> {
    let mut ws = Ws::upgrade_with(wire, &format!("{UPGRADE}{headers}"));
    ws.send(&Frame::binary("hello"));
    ws.wire.finish();
    backend::next(heard)
}

fn bridge(version: &str) -> (Bridge, Heard) {
    let (target, heard) = backend::hear("");
    let version = format!("--proxy-protocol={version}");
    let target = target.to_string();
    let bridge = Bridge::start(&[&version, TRUSTED, "127.0.0.1:{port}", &target]);
    (bridge, heard)
}

#[test]
fn a_line_names_both_ends() {
    let (bridge, heard) = bridge("v1");
    let port = bridge.port();
    let wire = Wire::connect(bridge.addr());
    let own = wire.stream().local_addr().unwrap().port();
    let said = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\r\nhello");
    assert_eq!(hears(wire, "", &heard), said.as_bytes());
    for (headers, said) in [
        (
            "X-Forwarded-For: 192.0.2.1\r\n",
            "TCP4 192.0.2.1 127.0.0.1 0",
        ),
        (
            "Forwarded: for=\"192.0.2.1:9\"\r\n",
            "TCP4 192.0.2.1 127.0.0.1 9",
        ),
        (
            "X-Forwarded-For: 2001:db8::1\r\n",
            "TCP6 2001:db8::1 ::ffff:7f00:1 0",
        ),
    ] {
        let said = format!("PROXY {said} {port}\r\nhello");
        let got = hears(Wire::connect(bridge.addr()), headers, &heard);
        assert_eq!(String::from_utf8(got).unwrap(), said, "{headers}");
    }
}

#[test]
fn binary_names_both_ends() {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21";
    let (bridge, heard) = bridge("v2");
    let port = bridge.port().to_be_bytes();
    let v4 = hears(
        Wire::connect(bridge.addr()),
        "Forwarded: for=\"192.0.2.1:258\"\r\n",
        &heard,
    );
    let addresses = [192, 0, 2, 1, 127, 0, 0, 1, 1, 2];
    let said = [SIGNATURE, &[0x11, 0, 12], &addresses, &port, b"hello"].concat();
    assert_eq!(v4, said);
    let v6 = hears(
        Wire::connect(bridge.addr()),
        "X-Forwarded-For: 2001:db8::1\r\n",
        &heard,
    );
    let from = "2001:db8::1"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    let to = "::ffff:127.0.0.1"
        .parse::<std::net::Ipv6Addr>()
        .unwrap()
        .octets();
    let said = [
        SIGNATURE,
        &[0x21, 0, 36],
        &from,
        &to,
        &[0, 0],
        &port,
        b"hello",
    ]
    .concat();
    assert_eq!(v6, said);
}

#[test]
fn who_has_no_address_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bridge");
    for (version, unknown, known) in [
        (
            "v1",
            &b"PROXY UNKNOWN\r\n"[..],
            &b"PROXY TCP4 192.0.2.1 0.0.0.0 0 0\r\n"[..],
        ),
        (
            "v2",
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\0\0\0\0\0\0\0\0",
        ),
    ] {
        let (target, heard) = backend::hear("");
        let _bridge = Bridge::start(&[
            "--proxy-protocol",
            version,
            "--unix-listen",
            text(&socket),
            TRUSTED,
            &target.to_string(),
        ]);
        for (headers, said) in [("", unknown), ("X-Forwarded-For: 192.0.2.1\r\n", known)] {
            let got = hears(Wire::connect_unix(&socket), headers, &heard);
            assert_eq!(got, [said, b"hello"].concat(), "{version} {headers}");
        }
    }
}

#[test]
fn what_a_proxy_said_is_passed_on() {
    let (target, heard) = backend::hear("");
    let bridge = Bridge::start(&[
        "--proxy-protocol=v1",
        "--accept-proxy-protocol",
        TRUSTED,
        "127.0.0.1:{port}",
        &target.to_string(),
    ]);
    let line = "PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n";
    let mut wire = Wire::connect(bridge.addr());
    wire.send(line);
    assert_eq!(hears(wire, "", &heard), format!("{line}hello").into_bytes());
}
