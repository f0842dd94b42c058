//! --heartbeat: dead clients are noticed, live ones are left alone.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Frame, Ws};

const PING: u8 = 0x9;

fn bridge(target: &str) -> Bridge {
    Bridge::start(&["--heartbeat=1", "127.0.0.1:{port}", target])
}

#[test]
fn a_client_that_answers_stays() {
    let bridge = bridge(&backend::echo().to_string());
    let mut client = Ws::open(bridge.addr());
    for _ in 0..3 {
        let ping = client.recv().unwrap();
        assert_eq!((ping.opcode, ping.payload.len()), (PING, 0));
        client.send(&Frame::pong(""));
    }
    client.expect_echo("alive");
}

#[test]
fn a_client_that_is_silent_for_a_whole_interval_is_ended() {
    let bridge = bridge(&backend::echo().to_string());
    let mut client = Ws::open(bridge.addr());
    let began = Instant::now();
    assert_eq!(client.recv().unwrap().opcode, PING);
    assert_eq!(client.close(), "1011 No answer to ping");
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(1900) && took < Duration::from_secs(4),
        "{took:?}"
    );
    drop(client);
    bridge.wait_for_line(|line| line.contains("code=1011 by=server"));
}

/// It had answered while we could not look, and the time for that was over when we could.
#[test]
fn a_client_whose_answer_waits_when_its_time_is_up_stays() {
    let target = backend::echo().to_string();
    let (late, clock) = (bridge(&target), bridge(&target));
    let mut client = Ws::open(late.addr());
    assert_eq!(client.recv().unwrap().opcode, PING);
    late.signal(Signal::STOP);
    client.send(&Frame::pong(""));
    // Another bridge tells when more than an interval has passed.
    let mut other = Ws::open(clock.addr());
    assert_eq!(other.recv().unwrap().opcode, PING);
    other.send(&Frame::pong(""));
    assert_eq!(other.recv().unwrap().opcode, PING);
    late.signal(Signal::CONT);
    let next = client.recv().unwrap();
    assert_eq!(next.opcode, PING, "{next:?}");
}

#[test]
fn a_client_whose_answers_wait_behind_a_stalled_target_stays() {
    let (stall, go) = std::sync::mpsc::channel::<()>();
    let go = std::sync::Arc::new(std::sync::Mutex::new(go));
    let target = backend::serve(move |stream| {
        // Reads nothing until told, then everything.
        let _ = go.lock().unwrap().recv();
        backend::echo_on(stream);
    });
    // More than the sockets on the way can hold: the bridge stops reading this client.
    let data = vec![7; 16 << 20];
    // Before it connects: on a busy machine this takes longer than a heartbeat.
    let frame = Frame::binary(data.clone()).encode();
    let bridge = bridge(&target.to_string());
    let mut client = Ws::open(bridge.addr());
    std::thread::scope(|scope| {
        let stream = client.wire.stream().try_clone().unwrap();
        scope.spawn(move || std::io::Write::write_all(&mut &stream, &frame).unwrap());
        for _ in 0..4 {
            assert_eq!(client.recv().unwrap().opcode, PING);
        }
        stall.send(()).unwrap();
        let mut got = 0;
        while got < data.len() {
            let frame = client.recv().unwrap();
            if frame.opcode != PING {
                assert_eq!(frame.opcode, 0x2, "{frame:?}");
                got += frame.payload.len();
            }
        }
    });
}
