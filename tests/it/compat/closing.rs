//! Who says goodbye, in which words, and what still arrives.

use super::{differs, theirs};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{End, Frame, Ws};

/// A client's close is answered with its own code and reason, and the connection ends.
#[test]
fn answered() {
    let bridge = Bridge::to(&backend::echo());
    for (code, reason, answer) in [
        (1000, "", "1000"),
        (1000, "bye", "1000 bye"),
        (1001, "schöne Grüße", "1001 schöne Grüße"),
        (1011, "", "1011"),
        (3000, "library", "3000 library"),
        (4999, "application", "4999 application"),
    ] {
        let mut ws = Ws::open(bridge.addr());
        ws.send(&Frame::close(code, reason));
        assert_eq!(ws.close(), answer);
        assert_eq!(ws.wire.rest(), b"", "after the close");
    }
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::new(0x8, ""));
    assert_eq!(ws.close(), "empty close");
}

/// Codes that RFC 6455, 7.4 keeps off the wire, and half a code.
#[test]
fn invalid_codes() {
    let bridge = Bridge::to(&backend::echo());
    let cases = [0, 999, 1005, 1006, 1015, 1016, 2999, 5000, 65535];
    let cases = cases.map(|code| (Frame::close(code, ""), code.to_string()));
    for (frame, echoed) in cases
        .into_iter()
        .chain([(Frame::new(0x8, [3]), "empty close".to_owned())])
    {
        let mut ws = Ws::open(bridge.addr());
        ws.send(&frame);
        let ours = "1002 Protocol error: Invalid close code".to_owned();
        assert_eq!(ws.close(), differs("close-code", echoed, ours), "{frame:?}");
    }
}

/// Everything that the target said arrives before its end is told.
#[test]
fn target_closes() {
    let text = "The last words count most. ".repeat(40_000).into_bytes();
    let bridge = Bridge::to(&backend::say(text.clone()));
    let End { data, close } = Ws::open(bridge.addr()).end();
    assert!(data == text, "{} of {} bytes", data.len(), text.len());
    assert_eq!(close, "1000 Target closed");
}

#[test]
fn target_unreachable() {
    let (target, _taken) = backend::refuse();
    let bridge = Bridge::to(&target);
    let mut ws = Ws::open(bridge.addr());
    assert_eq!(ws.close(), "1011 Failed to connect to downstream server");
}

#[test]
fn target_resets() {
    let bridge = Bridge::to(&backend::reset());
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("x"));
    let expected = differs(
        "target-reset",
        "no close frame",
        "1011 Target connection lost",
    );
    assert_eq!(ws.close(), expected);
}

/// A client that broke the protocol and does not go is not waited for.
#[test]
fn lingering_client() {
    let bridge = Bridge::to(&backend::echo());
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::text("wrong"));
    assert_eq!(
        ws.close(),
        "1003 Unsupported: Text frames are not supported"
    );
    if differs("close-time", false, true) {
        assert_eq!(ws.wire.rest(), b"");
    }
}

/// What a client sent before its close frame reaches the target, however much it is.
#[test]
fn client_closes() {
    let (target, heard) = backend::hear("");
    let bridge = Bridge::to(&target);
    let mut ws = Ws::open(bridge.addr());
    let text = "pasted text ".repeat(1000).into_bytes();
    for _ in 0..50 {
        ws.send(&Frame::binary(text.clone()));
    }
    ws.send(&Frame::close(1000, ""));
    let bytes = backend::next(&heard);
    assert!(
        bytes == text.repeat(50),
        "{} of {} bytes",
        bytes.len(),
        text.len() * 50
    );
    assert_eq!(ws.close(), "1000");
}

/// The same for a client whose connection ends without a close frame.
#[test]
fn client_vanishes() {
    let (target, heard) = backend::hear("");
    let bridge = Bridge::to(&target);
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("last "));
    ws.send(&Frame::binary("words"));
    ws.wire.finish();
    assert_eq!(backend::next(&heard), b"last words");
}

/// A client that says goodbye and listens hears the target's answer first.
#[test]
fn half_close() {
    let (target, _heard) = backend::hear("the answer");
    let bridge = Bridge::to(&target);
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("a question"));
    ws.send(&Frame::close(1000, "bye"));
    let answer = differs("half-close", "", "the answer");
    assert_eq!(
        ws.end(),
        End {
            data: answer.into(),
            close: "1000 bye".into()
        }
    );
}

/// A stop of the service says so to every client.
#[test]
fn shutdown() {
    let bridge = Bridge::to(&backend::echo());
    let mut sessions = [(); 3].map(|()| Ws::open(bridge.addr()));
    sessions.iter_mut().for_each(|ws| ws.expect_echo("hello"));
    bridge.terminate();
    for mut ws in sessions {
        let expected = differs("shutdown", "no close frame", "1001 Server shutting down");
        assert_eq!(ws.close(), expected);
        if !theirs() {
            ws.send(&Frame::close(1001, ""));
        }
    }
    assert_eq!(bridge.wait().code(), Some(0));
}
