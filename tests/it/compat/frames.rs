//! Every kind of frame, right and wrong.

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Frame, Length, Ws};

/// All three forms of a length, at their edges.
#[test]
fn lengths() {
    let bridge = Bridge::to(&backend::echo());
    let mut ws = Ws::open(bridge.addr());
    for n in [0, 1, 125, 126, 127, 65535, 65536, 200_000_u32] {
        ws.expect_echo(
            (0..n)
                .map(|i| (i % 251).to_le_bytes()[0])
                .collect::<Vec<_>>(),
        );
    }
}

/// Where one read ends and the next begins says nothing about frames.
#[test]
fn split_and_joined() {
    let bridge = Bridge::to(&backend::echo());
    let mut ws = Ws::open(bridge.addr());
    ws.wire.stream().set_nodelay(true).unwrap();
    let frames = ["a", "", "bc"].map(Frame::binary);
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    ws.wire.send(&bytes);
    assert_eq!(ws.recv_data(3), b"abc");
    for byte in bytes {
        ws.wire.send([byte]);
    }
    assert_eq!(ws.recv_data(3), b"abc");
}

/// A message in fragments arrives whole, and a ping in the middle of it is answered.
#[test]
fn fragments() {
    let bridge = Bridge::to(&backend::echo());
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("ab").unfinished());
    ws.send(&Frame::ping("now?"));
    ws.send(&Frame::continuation("").unfinished());
    ws.send(&Frame::continuation("cd"));
    let (mut data, mut pongs) = (Vec::new(), Vec::new());
    while data.len() < 4 || pongs.is_empty() {
        let frame = ws.recv().unwrap();
        if frame == Frame::pong("now?").unmasked() {
            pongs.push(frame);
        } else {
            data.extend(frame.payload);
        }
    }
    assert_eq!(data, b"abcd");
}

/// The first fragment of a message may be empty.
#[test]
fn empty_first_fragment() {
    let bridge = Bridge::to(&backend::echo());
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("").unfinished());
    ws.send(&Frame::continuation("ab"));
    if differs("empty-first-fragment", true, false) {
        assert_eq!(
            ws.close(),
            "1002 Procotol error: Unexpected continuation frame"
        );
    } else {
        assert_eq!(ws.recv_data(2), b"ab");
    }
}

/// A ping is answered with its payload; an unasked pong is not.
#[test]
fn pings() {
    let bridge = Bridge::to(&backend::echo());
    let mut ws = Ws::open(bridge.addr());
    for payload in [vec![], vec![0], vec![0xff; 125]] {
        ws.send(&Frame::pong("unasked"));
        ws.send(&Frame::ping(payload.clone()));
        assert_eq!(ws.recv(), Some(Frame::pong(payload).unmasked()));
    }
    ws.expect_echo("still here");
}

/// Wrong frames end the session with a code and a reason that names the fault.
#[test]
fn wrong_frames() {
    let bridge = Bridge::to(&backend::echo());
    let first = || Frame::binary("ab").unfinished();
    let cases = [
        (
            vec![Frame::binary("x").unmasked()],
            "1002 Protocol error: Frame not masked",
        ),
        (
            vec![Frame::ping("x").unmasked()],
            "1002 Protocol error: Frame not masked",
        ),
        (
            vec![Frame::continuation("x")],
            "1002 Protocol error: Unexpected continuation frame",
        ),
        (
            vec![
                first(),
                Frame::continuation("cd"),
                Frame::continuation("ef"),
            ],
            "1002 Protocol error: Unexpected continuation frame",
        ),
        (
            vec![first(), Frame::binary("cd")],
            "1002 Protocol error: Unexpected new frame",
        ),
        (
            vec![Frame::close(1000, [0xff])],
            "1002 Protocol error: Invalid UTF-8 in close",
        ),
        (
            vec![Frame::text("x")],
            "1003 Unsupported: Text frames are not supported",
        ),
        (
            vec![Frame::close(1000, "").unfinished()],
            "1003 Unsupported: Fragmented close",
        ),
        (
            vec![Frame::ping("x").unfinished()],
            "1003 Unsupported: Fragmented ping",
        ),
        (
            vec![Frame::pong("x").unfinished()],
            "1003 Unsupported: Fragmented pong",
        ),
    ];
    for (frames, reason) in cases {
        let mut ws = Ws::open(bridge.addr());
        frames.iter().for_each(|frame| ws.send(frame));
        let theirs = reason.replace("Protocol", "Procotol");
        assert_eq!(
            ws.close(),
            differs("typo", theirs, reason.to_owned()),
            "{frames:?}"
        );
    }
}

#[test]
fn unknown_opcodes() {
    let bridge = Bridge::to(&backend::echo());
    for opcode in [0x3, 0x7, 0xb, 0xf] {
        let mut ws = Ws::open(bridge.addr());
        ws.send(&Frame::new(opcode, "x"));
        let text = differs("unknown-opcode", "1003 Unsupported", "1002 Protocol error");
        assert_eq!(ws.close(), format!("{text}: Unknown opcode 0x{opcode:02x}"));
    }
}

/// Frames that RFC 6455 forbids and websockify takes: it goes on to the client's own close.
#[test]
fn forbidden_frames() {
    let bridge = Bridge::to(&backend::echo());
    let cases = [
        (
            "reserved-bits",
            Frame::binary("x").rsv(4),
            "Reserved bits set",
        ),
        (
            "reserved-bits",
            Frame::binary("x").rsv(1),
            "Reserved bits set",
        ),
        (
            "reserved-bits",
            Frame::ping("x").rsv(2),
            "Reserved bits set",
        ),
        (
            "long-control-frame",
            Frame::ping([0; 126]),
            "Control frame too long",
        ),
        (
            "long-control-frame",
            Frame::pong([0; 70_000]),
            "Control frame too long",
        ),
        (
            "long-length",
            Frame::binary("x").length(Length::In16Bits),
            "Length not minimal",
        ),
        (
            "long-length",
            Frame::binary("x").length(Length::In64Bits),
            "Length not minimal",
        ),
        (
            "long-length",
            Frame::binary([0; 300]).length(Length::In64Bits),
            "Length not minimal",
        ),
    ];
    for (row, frame, reason) in cases {
        let mut ws = Ws::open(bridge.addr());
        ws.send(&frame);
        ws.send(&Frame::close(1000, "bye"));
        let expected = differs(
            row,
            "1000 bye".into(),
            format!("1002 Protocol error: {reason}"),
        );
        assert_eq!(ws.close(), expected, "{frame:?}");
    }
}

/// What comes after a wrong frame never reaches the target.
#[test]
fn nothing_after_an_error() {
    let (target, heard) = backend::hear("");
    let bridge = Bridge::to(&target);
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("before "));
    ws.send(&Frame::text("wrong "));
    ws.send(&Frame::binary("after"));
    assert_eq!(
        ws.close(),
        "1003 Unsupported: Text frames are not supported"
    );
    ws.wire.finish();
    let expected = differs("after-an-error", "before after", "before ");
    assert_eq!(backend::next(&heard), expected.as_bytes());
}
