//! Work whose instructions `tests/costs/run` counts: the same bytes and the same steps each time, on
//! one thread, without a clock or chance in it. Written for valgrind(1), whose processor is not this
//! machine's; how long it takes says nothing.
//!
//!     work NAME TIMES
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "it is the bridge's client and its target at once"
)]

mod session;

use std::env;
use std::hint::black_box;

use tokio::runtime::Builder;
use websockify::websocket::decoder::Decoder;
use websockify::websocket::framing::{Framing, ROOM};
use websockify::websocket::mask::unmask;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const WORKS: [(&str, fn(usize)); 9] = [
    ("unmask", unmask_64_kib),
    ("decode-small", |times| decode(64, 1000, times)),
    ("decode-large", |times| decode(64 << 10, 4, times)),
    ("encode", encode),
    ("handshake", |times| in_runtime(session::handshakes(times))),
    ("connect", |times| in_runtime(session::connects(times))),
    ("echo", |times| in_runtime(session::echoes(times))),
    ("down", |times| in_runtime(session::down(times))),
    ("up", |times| in_runtime(session::up(times))),
];

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [name, times] = &words[..] else {
        return WORKS.iter().for_each(|(name, _)| println!("{name}"));
    };
    let work = WORKS.iter().find(|work| work.0 == name).unwrap().1;
    work(times.parse().unwrap());
}

fn in_runtime(work: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work);
}

/// 64 KiB at a time.
fn unmask_64_kib(times: usize) {
    let mut payload = vec![0; 64 << 10];
    for _ in 0..times {
        unmask(black_box(&mut payload), MASK);
    }
}

/// One read of so many whole frames at a time.
fn decode(payload: usize, frames: usize, times: usize) {
    let read = frame(&vec![7; payload]).repeat(frames);
    let (mut decoder, mut replies) = (Decoder::default(), Vec::new());
    for _ in 0..times {
        let mut piece = read.clone();
        let decoded = decoder.decode(black_box(&mut piece), &mut replies);
        assert_eq!(decoded.payload.len(), frames * payload);
    }
}

/// One frame of each length of header at a time.
fn encode(times: usize) {
    let mut buffer = vec![0; ROOM];
    for _ in 0..times {
        for size in [64, 64 << 8, 64 << 12] {
            black_box(Framing::Binary.enclose(black_box(&mut buffer), size));
        }
    }
}

/// A client's frame.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    let at = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[at..], MASK);
    frame
}
