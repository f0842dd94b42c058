//! What was sent before an end arrives, however slow the other side is; and how little a session
//! holds meanwhile.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::backend;
use crate::bridge::Bridge;
use crate::compat::flow::memory;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};

const MIB: usize = 1 << 20;

/// Longer than a client that owes us only the answer to a close frame is waited for.
const LONG: Duration = Duration::from_secs(7);

pub(crate) fn pattern(size: usize) -> Vec<u8> {
    let byte = |at: usize| at ^ (at >> 8) ^ (at >> 16);
    (0..size).map(|at| byte(at).to_le_bytes()[0]).collect()
}

/// Lets time pass for a peer that is busy elsewhere. There is no event to wait for: the point is
/// that nothing happens.
fn dawdle() {
    let (_never, silence) = mpsc::channel::<()>();
    let _ = silence.recv_timeout(LONG);
}

#[test]
fn a_slow_client_gets_all_that_the_target_said_before_it_closed() {
    // More than the sockets hold, so the bridge has unsent bytes too.
    let data = pattern(16 * MIB);
    let said = data.clone();
    // It ends its stream and goes on listening: a target that closes outright takes its last bytes
    // back itself, by a reset, when it is sent something.
    let bridge = Bridge::to(&backend::serve(move |mut stream| {
        stream.write_all(&said).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        while let Ok(1..) = stream.read(&mut [0; 64]) {}
    }));
    let mut client = Ws::open(bridge.addr());
    dawdle();
    // It is not idle: what it sends must not turn into a reset of what it has not read.
    client.send(&Frame::binary("still here"));
    let end = client.end();
    assert!(
        end.data == data,
        "{} bytes of {}",
        end.data.len(),
        data.len()
    );
    assert_eq!(end.close, "1000 Target closed");
}

#[test]
fn a_slow_target_gets_all_that_the_client_said_before_it_closed() {
    let data = pattern(16 * MIB);
    let (tell, heard) = mpsc::channel();
    let bridge = Bridge::to(&backend::serve(move |mut stream| {
        dawdle();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        tell.send(all).unwrap();
    }));
    let mut client = Ws::open(bridge.addr());
    client.send(&Frame::binary(data.clone()));
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    let all = heard.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(all == data, "{} bytes of {}", all.len(), data.len());
}

/// It is told that we end, and has its time to finish: whatever its target says meanwhile is read for
/// nobody, because it would not read what comes last before it has said it.
#[test]
fn a_target_that_talks_on_gets_all_that_the_client_says_after_our_goodbye() {
    let (tell, heard) = mpsc::channel();
    let bridge = Bridge::to(&backend::serve(move |mut stream| {
        let mut word = [0; 2];
        stream.read_exact(&mut word).unwrap();
        for _ in 0..48 {
            stream.write_all(&[7; MIB]).unwrap();
        }
        tell.send(String::new()).unwrap();
        let mut last = String::new();
        stream.read_to_string(&mut last).unwrap();
        tell.send(last).unwrap();
    }));
    let mut client = Ws::open(bridge.addr());
    bridge.terminate();
    assert_eq!(client.close(), "1001 Server shutting down");
    client.send(&Frame::binary("go"));
    let next = || heard.recv_timeout(DEADLINE).unwrap();
    assert_eq!(next(), "", "it has said all of it");
    client.send(&Frame::binary("last words"));
    client.send(&Frame::close(1001, ""));
    assert_eq!(next(), "last words");
}

#[test]
fn a_frame_of_64_mib_passes_within_2_mib() {
    let (tell, heard) = mpsc::channel();
    let target = backend::serve(move |mut stream| {
        let (mut total, mut buffer) = (0, vec![0; 65536]);
        while let Ok(size @ 1..) = stream.read(&mut buffer) {
            total += size;
            tell.send(total).unwrap();
        }
    });
    // First of all: it takes seconds, and the target does not wait for ever.
    let frame = Frame::binary(pattern(64 * MIB)).encode();
    let bridge = Bridge::to(&target);
    let mut client = Ws::open(bridge.addr());
    let pid = bridge.pid().as_raw_pid();
    client.send(&Frame::binary(vec![1; MIB]));
    while heard.recv_timeout(Duration::from_secs(30)).unwrap() < MIB {}
    let before = memory(pid);
    let most = thread::scope(|scope| {
        let mut stream = client.wire.stream().try_clone().unwrap();
        scope.spawn(move || stream.write_all(&frame).unwrap());
        let (mut most, mut next) = (0, 0);
        loop {
            let total = heard.recv_timeout(Duration::from_secs(30)).unwrap();
            if total >= next {
                most = most.max(memory(pid));
                next = total + 4 * MIB;
            }
            if total == 65 * MIB {
                break;
            }
        }
        most
    });
    let growth = most.saturating_sub(before);
    assert!(growth < 2 * MIB, "grew by {} KiB", growth / 1024);
}

#[test]
fn one_stalled_direction_leaves_the_other_alone() {
    // The target talks without end and the client reads none of it: what the client sends still
    // arrives, and at once.
    let (tell, heard) = mpsc::channel();
    let target = backend::serve(move |mut stream| {
        let mut other = stream.try_clone().unwrap();
        thread::spawn(move || while other.write_all(&[7; 65536]).is_ok() {});
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte) {
            tell.send(byte[0]).unwrap();
        }
    });
    let bridge = Bridge::to(&target);
    let mut client = Ws::open(bridge.addr());
    let began = Instant::now();
    for byte in 0..100 {
        client.send(&Frame::binary([byte]));
        assert_eq!(heard.recv_timeout(Duration::from_secs(5)), Ok(byte));
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}
