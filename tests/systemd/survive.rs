//! Clients and a target that hold every byte against what it has to be, while the service between
//! them is restarted, killed and upgraded: tests/systemd/scenarios/survival*.sh.
//!
//!     survive PORT TARGET-PORT BUSY IDLE [KNOCKERS]
//!
//! keeps so many sessions from the bridge at PORT to itself at TARGET-PORT: BUSY of them full, both
//! ways, with readers that pause; in IDLE ones a stamp comes and goes now and then. Beside them clients
//! connect, one after the other in each of KNOCKERS threads (4), and a hundred in a second that only
//! connect, unless that is 0. Whatever ends is begun anew. For each line on standard input it
//! prints what happened since the last one, behind that line.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's peer: it is both ends, and ends at what is not as expected"
)]

mod bytes;
mod websocket;

use std::io::{self, BufRead, ErrorKind, Read, Write, stdin};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::expected;
use websocket::send;

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Since the last report.
#[derive(Default)]
struct Counts {
    /// Payload bytes that arrived and were right, either way.
    right: AtomicU64,
    /// Streams with a byte that is not as it has to be.
    wrong: AtomicU64,
    /// Sessions that began.
    begun: AtomicU64,
    /// Sessions that we were told are lost: close 1012.
    told_lost: AtomicU64,
    /// Sessions that ended without a close frame.
    cut: AtomicU64,
    /// Sessions that ended in another way.
    ended: AtomicU64,
    /// Clients of one message that were served.
    served: AtomicU64,
    /// Connections that were made, and those that were refused.
    connected: AtomicU64,
    /// See above.
    refused: AtomicU64,
    /// Those that were accepted and not served to the end.
    unanswered: AtomicU64,
    /// The longest that a stamp was on its way, in microseconds.
    worst_pause: AtomicU64,
    /// The longest that a client of one message took.
    worst_connect: AtomicU64,
}

static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::default);

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn wrong(what: &str) {
    count(&COUNTS.wrong);
    println!("wrong: {what}");
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Busy,
    Idle,
    Once,
}

const STAMP: usize = 16;
const STAMPS: Duration = Duration::from_millis(100);
const BUSY_PIECE: usize = 70_001;
const KNOCKERS: u16 = 4;

fn main() {
    let numbers: Vec<u16> = std::env::args()
        .skip(1)
        .map(|it| it.parse().unwrap())
        .collect();
    let (port, target, busy, idle, knockers) = match numbers[..] {
        [port, target, busy, idle] => (port, target, busy, idle, KNOCKERS),
        [port, target, busy, idle, knockers] => (port, target, busy, idle, knockers),
        _ => panic!("survive PORT TARGET-PORT BUSY IDLE [KNOCKERS]"),
    };
    LazyLock::force(&BEGIN);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, target)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(|| serve(stream.unwrap()));
        }
    });
    let (begun, all_begun) = mpsc::channel();
    for number in 0..u64::from(busy + idle) {
        let kind = if number < busy.into() {
            Kind::Busy
        } else {
            Kind::Idle
        };
        let begun = begun.clone();
        thread::spawn(move || {
            loop {
                match Client::open(port, kind) {
                    Ok(client) => {
                        count(&COUNTS.begun);
                        let _ = begun.send(());
                        client.live();
                    }
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        });
    }
    for _ in 0..busy + idle {
        all_begun.recv().unwrap();
    }
    for _ in 0..knockers {
        thread::spawn(move || knock(port));
    }
    if knockers > 0 {
        thread::spawn(move || touch(port));
    }
    println!("begun");
    for line in stdin().lock().lines() {
        report(&line.unwrap());
    }
}

fn report(name: &str) {
    let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
    let counts = &*COUNTS;
    println!(
        "{name} right_bytes={} wrong={} begun={} told_lost={} cut={} ended={} served={} connected={} refused={} \
         unanswered={} worst_pause_ms={} worst_connect_ms={}",
        take(&counts.right),
        take(&counts.wrong),
        take(&counts.begun),
        take(&counts.told_lost),
        take(&counts.cut),
        take(&counts.ended),
        take(&counts.served),
        take(&counts.connected),
        take(&counts.refused),
        take(&counts.unanswered),
        take(&counts.worst_pause) / 1000,
        take(&counts.worst_connect) / 1000,
    );
}

/// One client of one message after the other.
fn knock(port: u16) {
    loop {
        let began = Instant::now();
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Err(_) => count(&COUNTS.refused),
            Ok(stream) => match Client::over(stream, Kind::Once).and_then(Client::echo_once) {
                Ok(()) => count(&COUNTS.served),
                Err(_) => count(&COUNTS.unanswered),
            },
        }
        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
        COUNTS.worst_connect.fetch_max(took, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }
}

/// Connects and leaves, a hundred times in a second.
fn touch(port: u16) {
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => count(&COUNTS.connected),
            Err(_) => count(&COUNTS.refused),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The target's side of one session.
fn serve(mut stream: TcpStream) {
    let mut kind = [0];
    if stream.read_exact(&mut kind).is_err() {
        return;
    }
    match kind[0] {
        b'B' => {
            let mut writer = stream.try_clone().unwrap();
            thread::spawn(move || {
                let mut sent = 0;
                while writer.write_all(expected(sent, BUSY_PIECE)).is_ok() {
                    sent += expected(sent, BUSY_PIECE).len();
                }
            });
            let mut room = vec![0; BUSY_PIECE];
            let mut seen = Seen::default();
            while let Ok(size @ 1..) = stream.read(&mut room) {
                if !seen.check(&room[..size]) {
                    return;
                }
                seen.pause();
            }
        }
        b'I' => {
            // A stamp is on its way up, and the same one down.
            let mut stamp = [0; STAMP];
            let mut last = 0;
            while stream.read_exact(&mut stamp).is_ok() {
                if !is_next(&stamp, &mut last) || stream.write_all(&stamp).is_err() {
                    return;
                }
            }
        }
        first => {
            // Another's message, where it is not one of ours.
            if first != b'O' && stream.write_all(&[first]).is_err() {
                return;
            }
            let mut room = [0; 64];
            while let Ok(size @ 1..) = stream.read(&mut room) {
                if stream.write_all(&room[..size]).is_err() {
                    return;
                }
            }
        }
    }
}

/// What one reader of a full stream has seen.
#[derive(Default)]
struct Seen {
    bytes: usize,
    since_pause: usize,
}

impl Seen {
    fn check(&mut self, bytes: &[u8]) -> bool {
        if let Err(what) = bytes::check(self.bytes, bytes) {
            wrong(&format!("a full stream's {what}"));
            return false;
        }
        COUNTS
            .right
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.bytes += bytes.len();
        self.since_pause += bytes.len();
        true
    }

    /// Now and then, long enough for everything behind us to fill.
    fn pause(&mut self) {
        if self.since_pause > 16 << 20 {
            self.since_pause = 0;
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Whether a stamp is the next one, with its number and the time at which it was made.
fn is_next(stamp: &[u8; STAMP], last: &mut u64) -> bool {
    let number = u64::from_le_bytes(stamp[..8].try_into().unwrap());
    let made = u64::from_le_bytes(stamp[8..].try_into().unwrap());
    *last += 1;
    if number != *last {
        wrong(&format!("stamp {last} has the number {number}"));
        return false;
    }
    COUNTS.right.fetch_add(STAMP as u64, Ordering::Relaxed);
    COUNTS
        .worst_pause
        .fetch_max(now() - made, Ordering::Relaxed);
    true
}

fn now() -> u64 {
    u64::try_from(BEGIN.elapsed().as_micros()).unwrap()
}

/// A WebSocket client.
struct Client {
    stream: TcpStream,
    kind: Kind,
}

impl Client {
    fn open(port: u16, kind: Kind) -> io::Result<Self> {
        Self::over(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?, kind)
    }

    fn over(mut stream: TcpStream, kind: Kind) -> io::Result<Self> {
        if websocket::open(&mut stream, "/", "binary")? != 101 {
            return Err(ErrorKind::InvalidData.into());
        }
        let first = match kind {
            Kind::Busy => b"B",
            Kind::Idle => b"I",
            Kind::Once => b"O",
        };
        let mut stream = Self { stream, kind };
        send(&mut stream.stream, 2, first, 7)?;
        Ok(stream)
    }

    fn echo_once(mut self) -> io::Result<()> {
        send(&mut self.stream, 2, b"there and back", 3)?;
        let mut got = Vec::new();
        while got.len() < 14 {
            let (opcode, payload) = self.receive()?;
            if opcode != 2 {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            got.extend(payload);
        }
        if got != b"there and back" {
            wrong(&format!("not there and back: {got:?}"));
        }
        send(&mut self.stream, 8, &1000_u16.to_be_bytes(), 3)?;
        let _ = self.receive();
        Ok(())
    }

    /// Lives to the session's end.
    fn live(mut self) {
        let mut writer = self.stream.try_clone().unwrap();
        let kind = self.kind;
        let writing = thread::spawn(move || {
            let mut sent = 0;
            let mut number = 0_u64;
            loop {
                let written = if kind == Kind::Busy {
                    // All lengths of a header, and frames of all sizes.
                    let size = [1, 125, 126, 4000, 65_535, 65_536, BUSY_PIECE][sent % 7];
                    let piece = expected(sent, size);
                    sent += piece.len();
                    send(&mut writer, 2, piece, sent as u64)
                } else {
                    thread::sleep(STAMPS);
                    number += 1;
                    let stamp = [number.to_le_bytes(), now().to_le_bytes()].concat();
                    send(&mut writer, 2, &stamp, number)
                };
                if written.is_err() {
                    return;
                }
            }
        });
        let end = self.read_all();
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        match end {
            Some(1012) => count(&COUNTS.told_lost),
            Some(_) => count(&COUNTS.ended),
            None => count(&COUNTS.cut),
        }
        writing.join().unwrap();
    }

    /// Reads to the end, and returns the code of a close frame.
    fn read_all(&mut self) -> Option<u16> {
        let mut seen = Seen::default();
        let (mut stamps, mut last) = (Vec::new(), 0);
        loop {
            let (opcode, payload) = self.receive().ok()?;
            match (opcode, self.kind) {
                (8, _) => return Some(u16::from_be_bytes(payload.get(..2)?.try_into().unwrap())),
                (2, Kind::Busy) => {
                    if !seen.check(&payload) {
                        return Some(0);
                    }
                    seen.pause();
                }
                (2, _) => {
                    stamps.extend(payload);
                    while let Some(stamp) = stamps.first_chunk() {
                        if !is_next(stamp, &mut last) {
                            return Some(0);
                        }
                        stamps.drain(..STAMP);
                    }
                }
                _ => return Some(0),
            }
        }
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        websocket::receive(&mut self.stream).inspect_err(|error| {
            if error.kind() == ErrorKind::InvalidData {
                wrong(&error.to_string());
            }
        })
    }
}
