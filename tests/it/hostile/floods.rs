//! Frames without end: work for nothing, which has its turn like everybody's and is done right.

use std::io::Write;
use std::thread;

use super::{Siege, TURNS, target};
use crate::bridge::Bridge;
use crate::wire::{CLOSE, Frame, PONG, Ws};

/// As many as threads of a small machine, and one more.
const FLOODERS: usize = 3;

/// Has some clients send `flood` at once, each of `times`, and reads what comes back meanwhile;
/// `heard` are frames and payload bytes of it.
fn flood(what: &str, frames: &[Frame], times: usize, heard: (usize, usize)) {
    let siege = Siege::of(Bridge::to(&target()));
    let once: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    let bytes = once.repeat(times);
    thread::scope(|scope| {
        for _ in 0..FLOODERS {
            let mut ws = Ws::open(siege.addr());
            let (mut up, bytes) = (ws.wire.stream().try_clone().unwrap(), &bytes);
            scope.spawn(move || {
                up.write_all(bytes).unwrap();
                up.write_all(&Frame::close(1000, "").encode()).unwrap();
            });
            scope.spawn(move || {
                let (mut pongs, mut data) = (0, 0);
                loop {
                    let frame = ws.recv().expect("a close frame");
                    match frame.opcode {
                        CLOSE => break,
                        PONG => pongs += 1,
                        _ => data += frame.payload.len(),
                    }
                }
                assert_eq!((pongs, data), heard);
            });
        }
    });
    siege.ends_within(what, TURNS);
}

#[test]
fn pings_and_pongs() {
    let (times, ping) = (10_000, Frame::ping([b'x'; 125]));
    flood("pings", &[ping, Frame::pong("unasked")], times, (times, 0));
}

#[test]
fn messages_of_nothing_in_fragments_of_nothing() {
    let nothing = Frame::continuation("").unfinished();
    let frames = [
        Frame::binary(""),
        Frame::binary("").unfinished(),
        nothing.clone(),
        nothing,
        Frame::continuation(""),
    ];
    flood("nothing", &frames, 20_000, (0, 0));
}

#[test]
fn a_byte_in_each_fragment_and_control_frames_between_them() {
    let frames = [
        Frame::binary("e").unfinished(),
        Frame::ping(""),
        Frame::continuation("c").unfinished(),
        Frame::pong("h"),
        Frame::continuation("o"),
    ];
    let times = 10_000;
    flood("fragments", &frames, times, (times, 3 * times));
}
