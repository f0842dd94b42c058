//! Slow and stalled peers: nothing is lost, and nothing piles up in the bridge.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};

const MIB: usize = 1 << 20;

/// A peer's socket buffers; with smaller ones TCP's own delays would be most of the test.
const SMALL: usize = 16 << 10;

/// A silence of this length is taken for a standstill.
const STANDSTILL: Duration = Duration::from_secs(1);

/// A target that says much to a client that does not read has to wait, and the bridge holds next
/// to nothing meanwhile. When the client reads at last, all of it is there.
#[test]
fn stalled_client() {
    let (tell, stalled) = mpsc::channel();
    // Python takes in more and more of it, and may pause where others need the processor.
    let patience = differs("back-pressure", 5, 1) * STANDSTILL;
    let target = move |stream| push(stream, 64 * MIB, patience, &tell);
    let bridge = Bridge::to(&backend::serve(target));
    let mut ws = Ws::open(bridge.addr());
    let before = memory(bridge.pid().as_raw_pid());
    stalled.recv_timeout(DEADLINE).unwrap();
    let growth = memory(bridge.pid().as_raw_pid()).saturating_sub(before);
    let bounded = growth < 4 * MIB;
    assert_eq!(
        bounded,
        differs("back-pressure", false, true),
        "grew by {} KiB",
        growth / 1024
    );

    let end = ws.end();
    assert_eq!(end.close, "1000 Target closed");
    assert_eq!(end.data.len(), 64 * MIB);
    Pattern::new().expect(&end.data);
}

/// A client and a target that take small bites, both ways at once, get everything in order.
#[test]
fn slow_peers() {
    const SIZE: usize = MIB;
    let bridge = Bridge::to(&backend::serve(|stream| {
        shrink(&stream);
        nibble(stream);
    }));
    let mut ws = Ws::open(bridge.addr());
    shrink(ws.wire.stream());
    let mut up = ws.wire.stream().try_clone().unwrap();
    let sender = thread::spawn(move || {
        let mut pattern = Pattern::new();
        while pattern.at < SIZE {
            let n = (pattern.at % 4099).min(SIZE - pattern.at).max(1);
            up.write_all(&Frame::binary(pattern.next(n)).encode())
                .unwrap();
        }
    });
    let data = ws.recv_data(SIZE);
    Pattern::new().expect(&data);
    sender.join().unwrap();
    ws.send(&Frame::close(1000, ""));
    assert_eq!(ws.close(), "1000");
}

/// A byte stream of which any lost, doubled or moved piece shows.
struct Pattern {
    bytes: Vec<u8>,
    at: usize,
}

impl Pattern {
    /// A prime, so that no buffer's size divides it.
    const PERIOD: usize = 65537;

    fn new() -> Self {
        let period = (0..Self::PERIOD).map(|i| (i % 253 + i / 253).to_le_bytes()[0]);
        Self {
            bytes: period.collect::<Vec<_>>().repeat(2),
            at: 0,
        }
    }

    /// What comes next, at most a period of it.
    fn peek(&self, n: usize) -> &[u8] {
        let start = self.at % Self::PERIOD;
        &self.bytes[start..start + n]
    }

    fn next(&mut self, n: usize) -> Vec<u8> {
        let bytes = self.peek(n).to_owned();
        self.at += n;
        bytes
    }

    fn expect(&mut self, data: &[u8]) {
        for piece in data.chunks(Self::PERIOD) {
            assert!(
                self.next(piece.len()) == piece,
                "wrong data before byte {}",
                self.at
            );
        }
    }
}

/// Says `size` bytes and tells when it could not go on for a while, or has said all.
fn push(mut stream: TcpStream, size: usize, patience: Duration, stalled: &mpsc::Sender<()>) {
    let mut pattern = Pattern::new();
    stream.set_write_timeout(Some(patience)).unwrap();
    while pattern.at < size {
        match stream.write(pattern.peek(65536.min(size - pattern.at))) {
            Ok(n) => pattern.at += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = stalled.send(());
                stream.set_write_timeout(Some(DEADLINE)).unwrap();
            }
            Err(_) => return,
        }
    }
    let _ = stalled.send(());
}

/// An echo that reads and writes little at a time.
fn nibble(mut stream: TcpStream) {
    let mut buffer = [0; 1000];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

/// Leaves the kernel little room for this peer's bytes.
fn shrink(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_recv_buffer_size(SMALL).unwrap();
    socket.set_send_buffer_size(SMALL).unwrap();
}

/// The memory that a process and its children have written, in bytes. The program's file is left
/// out: a share of it is ours that grows when another test's bridge ends.
pub(crate) fn memory(pid: i32) -> usize {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss_Anon:"))
        .unwrap_or("0 kB");
    let own: usize = pss.trim().trim_end_matches(" kB").parse().unwrap();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(children).unwrap_or_default();
    own * 1024
        + children
            .split_whitespace()
            .map(|pid| memory(pid.parse().unwrap()))
            .sum::<usize>()
}
