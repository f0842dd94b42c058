//! Options that end the bridge or accompany a session.

use std::net::TcpStream;

use super::{differs, theirs};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Frame, UPGRADE, Wire, Ws};

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

/// Whoever else comes during that session gets none.
#[test]
fn others_than_the_one() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--run-once", "127.0.0.1:{port}", &target]);
    let mut ws = Ws::open(bridge.addr());
    ws.expect_echo("hello");
    if !theirs() {
        bridge.wait_for_line(|line| line.contains("--run-once"));
    }
    let comes_in = TcpStream::connect(bridge.addr()).is_ok();
    assert_eq!(comes_in, differs("run-once-others", true, false));
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

/// At its timeout the bridge takes nobody new, but lets sessions finish.
#[test]
fn timeout_with_a_session() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--timeout=1", "127.0.0.1:{port}", &target]);
    let mut ws = Ws::open(bridge.addr());
    bridge.wait_for_line(|line| line.contains("--timeout"));
    ws.expect_echo("still here");
    ws.send(&Frame::close(1000, ""));
    assert_eq!(ws.close(), "1000");
    assert_eq!(bridge.wait().code(), Some(0));
}

/// A heartbeat is an empty ping, again and again; whoever does not answer is gone.
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
    assert_eq!(ws.wire.take(2).unwrap(), [0x89, 0x00]);
    let unanswered = ws.recv().unwrap();
    let ours = Frame::close(1011, "No answer to ping");
    assert_eq!(
        unanswered,
        differs("heartbeat", Frame::ping(""), ours).unmasked()
    );
}

/// With a limit on connections, the next one is told that there is no room.
#[test]
fn too_many() {
    let target = backend::echo().to_string();
    let args = ["127.0.0.1:{port}", &target, "--max-connections=2"];
    let args = differs("connections", &args[..2], &args[..]);
    let bridge = Bridge::start(args);
    let mut sessions = [(); 2].map(|()| Ws::open(bridge.addr()));
    let status = Wire::connect(bridge.addr()).request(UPGRADE).status;
    assert_eq!(status, differs("connections", 101, 503));
    sessions.iter_mut().for_each(|ws| ws.expect_echo("hello"));
}

/// The log has a line for each session; ours comes at the end and tells how it went.
#[test]
fn told_in_the_log() {
    let target = backend::echo();
    let bridge = Bridge::to(&target);
    let mut ws = Ws::open(bridge.addr());
    ws.expect_echo("hello");
    ws.send(&Frame::close(1000, "a \"b\"\n"));
    assert_eq!(ws.close(), "1000 a \"b\"");
    let theirs = vec!["127.0.0.1: Plain non-SSL (ws://) WebSocket connection".to_owned()];
    let ours = vec![
        format!("session client={} ", ws.wire.stream().local_addr().unwrap()),
        format!(" target={target} from_client=5 to_client=5 seconds="),
        " code=1000 by=client reason=\"a \\\"b\\\"\\n\"".to_owned(),
    ];
    let parts = differs("log", theirs, ours);
    bridge.wait_for_line(|line| parts.iter().all(|part| line.contains(part)));
}

/// A mark for each step of an echo, on standard output.
#[test]
fn traffic() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--traffic", "127.0.0.1:{port}", &target]);
    Ws::open(bridge.addr()).expect_echo("hello");
    bridge.wait_until("marks", |seen| seen.stdout.contains("}>{<").then_some(()));
}

/// What the marks mean is said before them, to the byte.
#[test]
fn traffic_legend() {
    let bridge = Bridge::start(&[
        "--traffic",
        "127.0.0.1:{port}",
        &backend::echo().to_string(),
    ]);
    Ws::open(bridge.addr()).expect_echo("hello");
    bridge.wait_until("marks", |seen| seen.stdout.contains("}>{<").then_some(()));
    let said = bridge.stdout();
    let legend = "
Traffic Legend:
    }  - Client receive
    }. - Client receive partial
    {  - Target receive

    >  - Target send
    >. - Target send partial
    <  - Client send
    <. - Client send partial
";
    assert!(said.starts_with(&format!("{legend}}}>{{<")), "{said}");
}
