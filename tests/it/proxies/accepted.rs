//! The PROXY protocol from proxies before us.

use std::process::Command;

use super::{bridge, record};
use crate::backend;
use crate::bridge::Bridge;
use crate::real::succeeds;
use crate::tls::{Authority, text};
use crate::wire::{UPGRADE, Wire, Ws};

const ACCEPT: [&str; 2] = ["--trusted-proxy=127.0.0.1", "--accept-proxy-protocol"];

const LINE: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n";

/// From 192.0.2.1:4660 to 10.0.0.1:443, with a field that says nothing to us.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\
    \xc0\0\x02\x01\x0a\0\0\x01\x12\x34\x01\xbb\xea\0\x04name";

/// A proxy's word about itself.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

#[test]
fn the_client_is_whom_the_header_names_in_any_pieces() {
    for (header, client) in [(LINE, "[2001:db8::1]:4711"), (BINARY, "192.0.2.1:4660")] {
        for size in [1, 13, 40, 4096] {
            let bridge = bridge(&ACCEPT);
            let mut wire = Wire::connect(bridge.addr());
            wire.stream().set_nodelay(true).unwrap();
            let all = [header, UPGRADE.as_bytes()].concat();
            for piece in all.chunks(size) {
                wire.send(piece);
            }
            Ws::upgrade_with(wire, "").expect_echo("hello");
            let record = record(&bridge);
            assert!(
                record.contains(&format!(" client={client} ")),
                "{size}: {record}"
            );
        }
    }
}

#[test]
fn tls_begins_behind_the_header() {
    let ca = Authority::new();
    let bridge = bridge(&[&ca.here().options()[..], &ACCEPT, &["--health-path=/ok"]].concat());
    let mut command = Command::new("curl");
    command.args([
        "-sSf",
        "--haproxy-protocol",
        "--cacert",
        text(&ca.certificate()),
    ]);
    // curl names its own end of the connection.
    command.args(["--interface", "127.0.0.1"]);
    succeeds(command.arg(format!("https://{}/ok", bridge.addr())));
    let line = bridge.wait_for_line(|line| line.starts_with("request "));
    assert!(line.starts_with("request client=127.0.0.1:"), "{line}");
}

#[test]
fn a_trusted_proxy_has_to_say_it() {
    let bridge = bridge(&ACCEPT);
    for bytes in [
        UPGRADE.as_bytes(),
        b"\x16\x03\x01",
        b"PROXY TCP4 localhost 10.0.0.1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31",
    ] {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(bytes);
        assert_eq!(wire.rest(), b"", "{bytes:?}");
    }
    let line = bridge.wait_for_line(|line| line.starts_with("turned away client=127.0.0.1:"));
    assert!(
        line.ends_with(": it does not begin with a PROXY header"),
        "{line}"
    );
    // A check that says nothing is none of our business; half a header is let go in time.
    drop(Wire::connect(bridge.addr()));
    let mut half = Wire::connect(bridge.addr());
    half.send("PROXY TCP4 192.0.2.1 ");
    assert_eq!(half.rest(), b"");
}

#[test]
fn nobody_else_says_it() {
    for options in [
        &["--trusted-proxy=192.0.2.0/24", "--accept-proxy-protocol"][..],
        &["--trusted-proxy=127.0.0.1"],
        &[],
    ] {
        let bridge = bridge(options);
        // Served as they are, and without a header they are right.
        Ws::open(bridge.addr()).expect_echo("hello");
        let mut wire = Wire::connect(bridge.addr());
        wire.send(LINE);
        assert_eq!(wire.request(UPGRADE).status, 400);
        let record = record(&bridge);
        assert!(record.contains(" client=127.0.0.1:"), "{record}");
        assert!(!bridge.stderr().contains("2001:db8"));
    }
}

/// A header that names nobody leaves the proxy's address, and makes nothing else believed.
#[test]
fn without_a_client_it_is_the_proxy() {
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let bridge = bridge(&ACCEPT);
        let mut wire = Wire::connect(bridge.addr());
        wire.send(header);
        let head = format!("{UPGRADE}X-Forwarded-For: 192.0.2.1\r\n");
        Ws::upgrade_with(wire, &head).expect_echo("hello");
        let record = record(&bridge);
        assert!(record.contains(" client=127.0.0.1:"), "{record}");
    }
}

#[test]
fn a_named_client_names_no_other_unless_it_is_trusted_itself() {
    for (trusted, client) in [
        ("--trusted-proxy=127.0.0.1", " client=192.0.2.1:4660 "),
        (
            "--trusted-proxy=127.0.0.1,192.0.2.1",
            " client=198.51.100.1 ",
        ),
    ] {
        let bridge = bridge(&[trusted, "--accept-proxy-protocol"]);
        let mut wire = Wire::connect(bridge.addr());
        wire.send(BINARY);
        let head = format!("{UPGRADE}X-Forwarded-For: 198.51.100.1\r\n");
        Ws::upgrade_with(wire, &head).expect_echo("hello");
        let record = record(&bridge);
        assert!(record.contains(client), "{record}");
    }
}

#[test]
fn a_named_client_has_its_share_from_its_first_byte() {
    let bridge = bridge(&[&ACCEPT[..], &["--max-connections-per-address=1"]].concat());
    let connect = |header| {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(header);
        wire
    };
    let mut first = Ws::upgrade(connect(BINARY));
    let _other = Ws::upgrade(connect(LINE));
    assert_eq!(connect(BINARY).request(UPGRADE).status, 503);
    bridge.wait_for_line(|line| {
        line == "turned away client=192.0.2.1:4660 by --max-connections-per-address"
    });
    first.expect_echo("undisturbed");
}

#[test]
fn it_may_come_by_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bridge");
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&[
        "--unix-listen",
        text(&socket),
        "--trusted-proxy=unix",
        "--accept-proxy-protocol",
        &target,
    ]);
    let mut wire = Wire::connect_unix(&socket);
    wire.send(LINE);
    Ws::upgrade(wire).expect_echo("hello");
    let record = record(&bridge);
    assert!(record.contains(" client=[2001:db8::1]:4711 "), "{record}");
}

/// A place that is taken is told behind the header, in what comes there.
#[test]
fn one_too_many_is_told_behind_it() {
    let ca = Authority::new();
    let pair = ca.here();
    let limit = ["--max-connections=1"];
    let bridge = bridge(&[&pair.options()[..], &ACCEPT, &limit].concat());
    let connect = |header| {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(header);
        wire
    };
    let mut first = Ws::upgrade(connect(BINARY));
    assert_eq!(connect(LINE).request(UPGRADE).status, 503);
    let mut tls = connect(LINE);
    tls.send(b"\x16\x03\x01");
    assert_eq!(tls.rest(), [21, 3, 1, 0, 2, 2, 80]);
    first.expect_echo("undisturbed");
}

#[test]
fn it_takes_somebody_to_trust() {
    let bridge = Bridge::spawn(&["--accept-proxy-protocol", "{port}", "h:1"]);
    assert_eq!(bridge.wait().code(), Some(2));
    assert!(bridge.stderr().contains("--trusted-proxy"), "{bridge:?}");
}
