//! Flash players.

use super::bridge;
use crate::backend;
use crate::bridge::Bridge;
use crate::tls::Authority;
use crate::wire::{Wire, Ws};

const POLICY: &[u8] = b"<cross-domain-policy>\
    <allow-access-from domain=\"*\" to-ports=\"*\" /></cross-domain-policy>\n\0";

#[test]
fn a_player_is_answered_however_its_request_comes() {
    let bridge = bridge();
    let request = b"<policy-file-request/>\0";
    for cut in [1, 5, 22, 23] {
        let mut wire = Wire::connect(bridge.addr());
        wire.stream().set_nodelay(true).unwrap();
        wire.send(&request[..cut]);
        wire.send(&request[cut..]);
        assert_eq!(wire.rest(), POLICY, "cut at {cut}");
    }
    // The port serves everybody else meanwhile.
    Ws::open(bridge.addr()).expect_echo("hello");
}

#[test]
fn what_only_begins_like_one_gets_no_answer() {
    let bridge = bridge();
    for request in [
        "<policy-file-reques",
        "<policy-file-requesX/>\0",
        "<!doctype html><html>",
    ] {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(request);
        wire.finish();
        assert_eq!(wire.rest(), b"", "{request}");
    }
    let mut silent = Wire::connect(bridge.addr());
    silent.send("<policy");
    // It is not waited for.
    assert_eq!(silent.rest(), b"");
}

/// A player asks before it connects, and knows no TLS then.
#[test]
fn a_player_is_answered_where_others_need_tls() {
    let ca = Authority::new();
    let pair = ca.here();
    let target = backend::echo().to_string();
    let args = [
        "127.0.0.1:{port}",
        &target,
        "--legacy-protocols",
        "--ssl-only",
    ];
    let bridge = Bridge::start(&[&args[..], &pair.options()].concat());
    let mut wire = Wire::connect(bridge.addr());
    wire.send(b"<policy-file-request/>\0");
    assert_eq!(wire.rest(), POLICY);
}

#[test]
fn without_the_option_nobody_is_told() {
    let bridge = Bridge::to(&backend::echo());
    let mut wire = Wire::connect(bridge.addr());
    wire.send(b"<policy-file-request/>\0\r\n\r\n");
    wire.finish();
    let answer = wire.rest();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "));
}
