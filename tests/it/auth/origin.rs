//! Pages of other sites.

use super::{admitted, refusal};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire};

fn bridge() -> Bridge {
    let target = backend::echo().to_string();
    Bridge::start(&[
        "--auth-plugin=ExpectOrigin",
        "--auth-source=https://a.example https://*.example.org",
        "127.0.0.1:{port}",
        &target,
    ])
}

#[test]
fn pages_that_are_listed() {
    let bridge = bridge();
    for origin in [
        "https://a.example",
        "https://x.example.org",
        "HTTPS://A.Example",
    ] {
        admitted(bridge.addr(), &format!("Origin: {origin}\r\n"));
    }
}

#[test]
fn pages_that_are_not() {
    let bridge = bridge();
    for headers in [
        "",
        "Origin: null\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: https://example.org\r\n",
        "Origin: https://a.example\r\nOrigin: https://a.example\r\n",
        "Sec-WebSocket-Origin: https://a.example\r\n",
    ] {
        assert_eq!(refusal(bridge.addr(), headers).status, 403, "{headers}");
    }
    bridge.wait_for_line(|line| {
        line.starts_with("auth failed client=127.0.0.1:")
            && line.ends_with(
                " plugin=ExpectOrigin reason=\"origin not listed\" origin=\"https://evil.example\"",
            )
    });
}

#[test]
fn old_drafts_have_another_header() {
    let bridge = bridge();
    for version in ["7", "8"] {
        let head = UPGRADE.replace("Version: 13", &format!("Version: {version}"));
        for (origin, status) in [("https://a.example", 101), ("https://evil.example", 403)] {
            let mut wire = Wire::connect(bridge.addr());
            let head = format!("{head}Sec-WebSocket-Origin: {origin}\r\n");
            assert_eq!(wire.request(&head).status, status, "{version} {origin}");
        }
    }
}
