//! Options that end the bridge or accompany a session.

use super::theirs;
use crate::{
    backend,
    bridge::Bridge,
    wire::{Frame, Wire, Ws},
};

/// One session, then the end; a plain request before it does not count.
#[test]
fn run_once() {
    let bridge = Bridge::start(&[
        "--run-once",
        "127.0.0.1:{port}",
        &backend::echo().to_string(),
    ]);
    let mut wire = Wire::connect(bridge.addr());
    assert_eq!(
        wire.request("GET / HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n")
            .status,
        405
    );
    wire.rest();
    let mut ws = Ws::open(bridge.addr());
    ws.expect_echo("hello");
    ws.send(&Frame::close(1000, ""));
    assert_eq!(ws.close(), "1000");
    assert_eq!(bridge.wait().code(), Some(0));
}

/// A session whose target cannot be reached is one, too.
#[test]
fn run_once_without_target() {
    let (target, _taken) = backend::refuse();
    let bridge = Bridge::start(&["--run-once", "127.0.0.1:{port}", &target.to_string()]);
    let mut ws = Ws::open(bridge.addr());
    assert_eq!(ws.close(), "1011 Failed to connect to downstream server");
    drop(ws);
    assert_eq!(bridge.wait().code(), Some(0));
}

/// Both limits end a bridge that nobody uses, and that is a success.
#[test]
fn timeouts() {
    for option in ["--timeout=1", "--idle-timeout=1"] {
        let bridge = Bridge::start(&[option, "127.0.0.1:{port}", "127.0.0.1:1"]);
        assert_eq!(bridge.wait().code(), Some(0), "{option}");
    }
}

/// A heartbeat is an empty ping, again and again.
#[test]
fn heartbeat() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target, "--heartbeat=1"]);
    let mut ws = Ws::open(bridge.addr());
    for _ in 0..2 {
        assert_eq!(ws.wire.take(2).unwrap(), [0x89, 0x00]);
        ws.send(&Frame::pong(""));
    }
    ws.expect_echo("hello");
}

/// The legend, and a mark for each step of an echo, on standard output.
#[test]
fn traffic() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--traffic", "127.0.0.1:{port}", &target]);
    let mut ws = Ws::open(bridge.addr());
    ws.expect_echo("hello");
    bridge.wait_until("marks on standard output", |seen| {
        seen.stdout.ends_with("}>{<").then_some(())
    });
    let legend = bridge.stdout();
    for line in [
        "}  - Client receive",
        "{  - Target receive",
        ">  - Target send",
        "<  - Client send",
    ] {
        assert!(legend.contains(line), "no {line} in {legend}");
    }
    if !theirs() {
        bridge.terminate();
        assert_eq!(ws.close(), "1001 Server shutting down");
    }
}
