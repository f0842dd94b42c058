//! What clients may take, and that taking it costs the others nothing.

use std::iter;

use rustix::process::{Resource, Rlimit, prlimit};

use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire, Ws};

#[test]
fn one_more_than_max_connections_is_told_so_and_the_next_fits_again() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--max-connections=2", "127.0.0.1:{port}", &target]);
    let mut first = Ws::open(bridge.addr());
    let second = Ws::open(bridge.addr());
    let mut third = Wire::connect(bridge.addr());
    let refusal = third.request(UPGRADE);
    assert_eq!(
        (refusal.status, refusal.header("retry-after")),
        (503, Some("10"))
    );
    assert_eq!(third.rest(), b"Too many connections\n");
    bridge.wait_for_line(|line| line.starts_with("turned away client=127.0.0.1:"));
    first.expect_echo("undisturbed");
    drop(second);
    bridge.wait_for_line(|line| line.starts_with("session "));
    // The place is free a moment after the record: a server that ends waits for both, in that order.
    let again = || Wire::connect(bridge.addr()).request(UPGRADE).status;
    let answer = iter::repeat_with(again).find(|status| *status != 503);
    assert_eq!(answer, Some(101));
}

#[test]
fn one_address_has_its_share_and_loopback_only_if_told() {
    let target = backend::echo().to_string();
    let limit = "--max-connections-per-address=1";
    let bridge = Bridge::start(&[limit, "127.0.0.1:{port}", &target]);
    let _first = Ws::open(bridge.addr());
    assert_eq!(Wire::connect(bridge.addr()).request(UPGRADE).status, 503);
    bridge.wait_for_line(|line| line.contains("by --max-connections-per-address"));
}

#[test]
fn running_out_of_descriptors_is_survived_and_logged_once() {
    let bridge = Bridge::to(&backend::echo());
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("before");
    let few = Rlimit {
        current: Some(8),
        maximum: Some(1000),
    };
    prlimit(Some(bridge.pid()), Resource::Nofile, few).unwrap();
    let waiting: Vec<Wire> = (0..20).map(|_| Wire::connect(bridge.addr())).collect();
    bridge.wait_for_line(|line| line.starts_with("cannot accept on "));
    client.expect_echo("meanwhile");
    prlimit(
        Some(bridge.pid()),
        Resource::Nofile,
        Rlimit {
            current: Some(1000),
            ..few
        },
    )
    .unwrap();
    for wire in waiting {
        Ws::upgrade(wire).expect_echo("after");
    }
    assert_eq!(bridge.stderr().matches("cannot accept").count(), 1);
}

#[test]
fn a_small_limit_on_open_files_is_raised_or_respected() {
    let target = backend::echo().to_string();
    let args = ["--max-connections=500", "127.0.0.1:{port}", &target];
    let limit = files(10);
    let bridge = Bridge::start_under(&["prlimit", &format!("--nofile=70:{limit}")], &args);
    let room = format!("the limit of {limit} open files has room for 10;");
    bridge.wait_for_line(|line| line.contains(&room));
    let clients: Vec<Ws> = (0..10).map(|_| Ws::open(bridge.addr())).collect();
    assert_eq!(Wire::connect(bridge.addr()).request(UPGRADE).status, 503);
    drop(clients);
}

/// A limit on open files with room for so many sessions: beside two for each, 128 are kept back.
fn files(sessions: usize) -> usize {
    2 * sessions + 128
}

/// As many as are told so at once take a descriptor each, and none of a session's.
#[test]
fn the_turned_away_cost_nobody_a_session() {
    let target = backend::echo().to_string();
    for (args, demo) in [
        (["127.0.0.1:{port}", &target], false),
        (["--demo", "{port}"], true),
    ] {
        let limit = files(if demo { 15 } else { 10 });
        let wrapper = ["prlimit", &format!("--nofile={limit}")];
        let bridge = Bridge::start_under(&wrapper, &args);
        let clients: Vec<Wire> = (0..10).map(|_| Wire::connect(bridge.addr())).collect();
        let mut refused: Vec<Wire> = (0..100).map(|_| Wire::connect(bridge.addr())).collect();
        for wire in &mut refused {
            // The first byte of its answer, or its end.
            let _ = wire.take(1);
        }
        let mut sessions: Vec<Ws> = clients.into_iter().map(Ws::upgrade).collect();
        for session in &mut sessions {
            session.expect_echo("room");
        }
        assert!(!bridge.stderr().contains("cannot "), "{}", bridge.stderr());
    }
}

#[test]
fn a_request_head_has_a_size_and_a_time() {
    let bridge = Bridge::to(&backend::echo());
    let mut large = Wire::connect(bridge.addr());
    let head = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nCookie: {}\r\n",
        "x".repeat(60_000)
    );
    assert_eq!(large.request(&head).status, 431);
    let mut many = Wire::connect(bridge.addr());
    let head = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(101));
    assert_eq!(many.request(&head).status, 431);
    let mut slow = Wire::connect(bridge.addr());
    slow.send("GET / HTTP/1.1\r\nHost:");
    let mut silent = Wire::connect(bridge.addr());
    let mut answered = Wire::connect(bridge.addr());
    answered.request("GET / HTTP/1.1\r\nHost: h\r\n");
    answered.finish();
    let mut halfway = Wire::connect(bridge.addr());
    halfway.send("GET / HTTP/1.1\r\nHost:");
    halfway.finish();
    // All are let go within the deadline of a read.
    for wire in [&mut slow, &mut silent, &mut answered, &mut halfway] {
        wire.rest();
    }
    Ws::open(bridge.addr()).expect_echo("others are served");
}
