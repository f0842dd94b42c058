//! Sessions go on in the next process: after a restart, and after an end without a word.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::Value;

use crate::backend;
use crate::control::ctl;
use crate::machine;
use crate::record::assert_playable;
use crate::service::Service;
use crate::tls::{self, Authority};
use crate::wire::{Frame, Wire, Ws};

/// A service in front of a target.
fn to(target: SocketAddr) -> Service {
    Service::start(&[&target.to_string()])
}

/// Bytes without a pattern that would fit at another place.
fn bytes(size: usize) -> Vec<u8> {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(state.to_be_bytes()[0])
    };
    (0..size).scan(1, |state, _| next(state)).collect()
}

#[test]
fn a_session_goes_on_through_restarts_and_kills() {
    let mut service = to(backend::echo());
    let mut client = Ws::open(service.addr());
    client.expect_echo("before all of that");
    service.wait_for_stored(1);
    for round in 0..4 {
        // What comes while there is nobody waits in the sockets.
        let word = format!("while round {round} had no process");
        let say = |client: &mut Ws| client.send(&Frame::binary(word.clone()));
        if round % 2 == 0 {
            service.restart(|| say(&mut client));
        } else {
            service.kill_still(|| say(&mut client));
        }
        assert_eq!(client.recv_data(word.len()), word.as_bytes());
        let resumed = "1 of 1 sessions of the process before go on";
        service.process().wait_for_line(|line| line == resumed);
        client.expect_echo("and after it");
    }
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    let record = service
        .process()
        .wait_for_line(|line| line.starts_with("session "));
    let moved = "before all of that".len()
        + 4 * ("while round 0 had no process".len() + "and after it".len());
    assert!(
        record.contains(&format!(" from_client={moved} to_client={moved} ")),
        "{record}"
    );
    assert!(record.contains(" code=1000 by=client "), "{record}");
    // Nobody goes on with it any more.
    service.wait_for_stored(0);
}

#[test]
fn a_frame_that_is_cut_by_a_restart_is_whole() {
    let (target, heard) = backend::hear("");
    let mut service = to(target);
    let mut client = Ws::open(service.addr());
    service.wait_for_stored(1);
    let payload = bytes(70_000);
    let frame = Frame::binary(payload.clone()).encode();
    let cuts = [0, 1, 3, 9, 13, 14, 15, 4_000, frame.len()];
    for cut in cuts.windows(2) {
        client.wire.send(&frame[cut[0]..cut[1]]);
        service.restart(|| {});
    }
    client.send(&Frame::ping("there?"));
    let pong = client.recv().unwrap();
    assert_eq!((pong.opcode, &pong.payload[..]), (10, &b"there?"[..]));
    client.send(&Frame::close(1000, ""));
    assert!(
        backend::next(&heard) == payload,
        "the target heard something else"
    );
}

/// What neither side takes is the session's, and goes along.
#[test]
fn bytes_that_wait_on_both_sides_go_along() {
    const SIZE: usize = 24 << 20;
    let (tell, told) = mpsc::channel::<()>();
    let told = std::sync::Arc::new(std::sync::Mutex::new(told));
    let target = backend::serve(move |mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || writer.write_all(&bytes(SIZE)).unwrap());
        told.lock().unwrap().recv().unwrap();
        let mut heard = vec![0; SIZE];
        stream.read_exact(&mut heard).unwrap();
        assert!(heard == bytes(SIZE), "the target heard something else");
        writing.join().unwrap();
        stream.write_all(b"all of it").unwrap();
    });
    let mut service = to(target);
    let mut client = Ws::open(service.addr());
    let mut writer = client.wire.stream().try_clone().unwrap();
    let writing = thread::spawn(move || {
        for piece in bytes(SIZE).chunks(100_000) {
            writer.write_all(&Frame::binary(piece).encode()).unwrap();
        }
    });
    for _ in 0..3 {
        service.wait_for_stored(1);
        service.restart(|| {});
    }
    tell.send(()).unwrap();
    assert!(
        client.recv_data(SIZE) == bytes(SIZE),
        "the client heard something else"
    );
    assert_eq!(client.recv_data(9), b"all of it");
    writing.join().unwrap();
}

#[test]
fn every_kind_of_client_and_target_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target");
    backend::echo_at(&path);
    let target = format!("--unix-target={}", path.display());
    let mut service = Service::start(&[&target, "--legacy-protocols", "--heartbeat=5"]);
    let mut binary = Ws::open(service.addr());
    let mut base64 = Ws::upgrade_with(
        Wire::connect(service.addr()),
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: base64\r\n",
    );
    let mut hixie = Wire::connect(service.addr());
    let head = "GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: h\r\n\
                Origin: http://h\r\n";
    assert_eq!(hixie.request(head).status, 101);
    service.wait_for_stored(3);
    for kill in [false, true] {
        let framed = BASE64_STANDARD.encode("in the middle of four letters");
        let (front, back) = framed.split_at(6);
        base64.send(&Frame::text(front).unfinished());
        hixie.send([&[0], front.as_bytes()].concat());
        // What is whole of them comes back: they have been read.
        let mut text = base64_frame(&mut base64);
        let mut old_text = hixie_frame(&mut hixie);
        binary.expect_echo("before");
        if kill {
            service.kill_still(|| {});
        } else {
            service.restart(|| {});
        }
        binary.expect_echo("after");
        base64.send(&Frame::continuation(back));
        while text.len() < "in the middle of four letters".len() {
            text.extend(base64_frame(&mut base64));
        }
        assert_eq!(text, b"in the middle of four letters");
        hixie.send([back.as_bytes(), &[0xff]].concat());
        while old_text.len() < "in the middle of four letters".len() {
            old_text.extend(hixie_frame(&mut hixie));
        }
        assert_eq!(old_text, b"in the middle of four letters");
    }
}

/// What is in the next message of base64.
fn base64_frame(client: &mut Ws) -> Vec<u8> {
    BASE64_STANDARD
        .decode(client.recv().unwrap().payload)
        .unwrap()
}

/// What is in the next frame of Hixie's protocols.
fn hixie_frame(client: &mut Wire) -> Vec<u8> {
    assert_eq!(client.take(1).unwrap(), [0]);
    let mut frame = Vec::new();
    while frame.last() != Some(&0xff) {
        frame.extend(client.take(1).unwrap());
    }
    BASE64_STANDARD.decode(&frame[..frame.len() - 1]).unwrap()
}

/// Its number, its start and its bytes are what they were; limits count it.
#[test]
fn the_ledger_and_limits_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control");
    let socket = format!("--control-socket={}", control.display());
    let target = backend::echo().to_string();
    let mut service = Service::start(&[&socket, &target, "--max-connections=2"]);
    let first = Ws::open(service.addr());
    drop(first);
    service
        .process()
        .wait_for_line(|line| line.starts_with("session "));
    let mut client = Ws::open(service.addr());
    client.expect_echo("four");
    let sessions = || {
        let listed: Value = serde_json::from_slice(&ctl(&control, &["list"], "").stdout).unwrap();
        listed["sessions"].as_array().unwrap().clone()
    };
    let before = sessions();
    service.restart(|| {});
    let after = sessions();
    assert_eq!(after[0]["id"], 2);
    for key in [
        "id",
        "client",
        "target",
        "since",
        "from_client",
        "to_client",
    ] {
        assert_eq!(after[0][key], before[0][key], "{key}");
    }
    let mut other = Ws::open(service.addr());
    other.expect_echo("there is room for one more");
    let ids: Vec<_> = sessions().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [2, 3]);
    let mut third = Wire::connect(service.addr());
    assert_eq!(third.response().status, 503);
    service.wait_for_stored(2);
    service.restart(|| {});
    // A session that was resumed can be ended.
    assert!(ctl(&control, &["kill", "--id=2"], "").status.success());
    assert_eq!(client.close(), "1008 Session ended by the administrator");
    other.expect_echo("not the other one");
}

#[test]
fn a_recording_goes_on_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let option = format!("--record={}", folder.path().join("tape").display());
    let mut service = Service::start(&[&option, &backend::echo().to_string()]);
    let mut client = Ws::open(service.addr());
    service.wait_for_stored(1);
    let words = ["first", "after a restart", "after a kill"];
    client.expect_echo(words[0]);
    service.restart(|| {});
    client.expect_echo(words[1]);
    // A recording that is not written to its end is none of the next process's after a kill.
    let tape = folder.path().join("tape.1");
    let written = |state: &[u8]| {
        let text = String::from_utf8_lossy(state);
        text.starts_with("wsstill\n") && text.contains("\"recording\":{\"file\"")
    };
    service.wait_for_states("a recording that is written", written);
    service.kill_still(|| {});
    client.expect_echo(words[2]);
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    service.process().terminate();
    service.process().wait();
    let script = fs::read_to_string(&tape).unwrap();
    assert_playable(&script);
    let mut rest = &script[..];
    for word in words.iter().flat_map(|word| [word, word]) {
        let at = rest
            .find(word)
            .unwrap_or_else(|| panic!("no {word} in its place: {script}"));
        rest = &rest[at + word.len()..];
    }
    assert!(!folder.path().join("tape.2").exists());
}

#[test]
fn a_recording_that_was_given_up_stays_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let option = format!("--record={}", folder.path().join("tape").display());
    let mut service = Service::start(&[&option, &backend::echo().to_string()]);
    let mut client = Ws::open(service.addr());
    service.wait_for_stored(1);
    client.expect_echo("recorded");
    // More than a state has at rest, and less than what is recorded next.
    service.limit_files(8192);
    client.expect_echo(bytes(20_000));
    let told = |line: &str| line.contains("tape.1 ended early: File too large");
    service.process().wait_for_line(told);
    client.expect_echo("lost");
    service.restart(|| {});
    client.expect_echo("not recorded");
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    service.process().terminate();
    service.process().wait();
    let script = fs::read_to_string(folder.path().join("tape.1")).unwrap();
    assert_playable(&script);
    assert!(script.contains("}recorded") && !script.contains("not recorded"));
    assert!(!folder.path().join("tape.2").exists());
}

#[test]
fn a_stop_says_goodbye() {
    let service = to(backend::echo());
    let mut client = Ws::open(service.addr());
    service.wait_for_stored(1);
    service.process().terminate();
    assert_eq!(client.close(), "1001 Server shutting down");
    client.send(&Frame::close(1001, ""));
    assert_eq!(service.process().wait().code(), Some(0));
}

#[test]
fn what_the_store_has_no_room_for_ends_with_a_restart_and_it_is_said() {
    let target = backend::echo().to_string();
    let mut service = Service::with_store(5, &[&target, "--drain-timeout=0"]);
    let mut kept = Ws::open(service.addr());
    service.wait_for_stored(1);
    let mut other = Ws::open(service.addr());
    other.expect_echo("also served");
    service.process().wait_until("it in the status", |seen| {
        seen.notices
            .contains("STATUS=2 sessions (1 of them end with a restart)")
            .then_some(())
    });
    let leaving = thread::spawn(move || {
        assert_eq!(other.close(), "1001 Server shutting down");
        other.send(&Frame::close(1001, ""));
    });
    service.restart(|| {});
    leaving.join().unwrap();
    kept.expect_echo("still here");
}

/// Systemd hears nothing while it reads its units anew.
#[test]
fn a_manager_that_is_busy_holds_nobody_up_and_keeps_all_in_the_end() {
    let mut service = to(backend::echo());
    let queue = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let many = queue.trim().parse::<usize>().unwrap() + 20;
    let busy = service.process().busy_manager();
    let mut clients: Vec<_> = (0..many).map(|_| Ws::open(service.addr())).collect();
    // All have grown up meanwhile.
    let grown = Instant::now() + Duration::from_millis(300);
    while Instant::now() < grown {
        for client in &mut clients {
            client.expect_echo("not held up");
        }
    }
    drop(busy);
    service.wait_for_stored(many);
    service.restart(|| {});
    for client in &mut clients {
        client.expect_echo("still here");
    }
}

/// It goes on, ends as others do that cannot be handed over, and nobody finds what is not true.
#[test]
fn a_session_whose_state_cannot_be_written_ends_with_its_process() {
    let target = backend::echo().to_string();
    let mut service = Service::start(&[&target, "--drain-timeout=0"]);
    let mut client = Ws::open(service.addr());
    client.expect_echo("written down");
    service.wait_for_stored(1);
    service.wait_for_rest();
    service.limit_files(0);
    client.expect_echo("not written down");
    service.wait_for_stored(0);
    service.process().wait_for_line(|line| {
        line == "session 1 cannot be handed over: File too large (os error 27)"
    });
    service.process().wait_until("it in the status", |seen| {
        let status = "STATUS=1 session (1 of them end with a restart)";
        seen.notices.contains(status).then_some(())
    });
    client.expect_echo("and still served");
    let leaving = thread::spawn(move || {
        assert_eq!(client.close(), "1001 Server shutting down");
        client.send(&Frame::close(1001, ""));
    });
    service.restart(|| {});
    leaving.join().unwrap();
}

/// What was stored before is gone on with, and does not stay with the manager.
#[test]
fn a_process_that_stores_nothing_takes_out_what_it_finds() {
    let mut service = to(backend::echo());
    let mut client = Ws::open(service.addr());
    client.expect_echo("stored");
    service.wait_for_stored(1);
    service.resize_store(0);
    service.restart(|| {});
    client.expect_echo("found");
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    service.wait_for_stored(0);
}

/// Its keys are in the process, so it ends with that; but not before it had its time, in which others
/// go on to be served.
#[test]
fn a_session_inside_tls_is_waited_for() {
    if websockify::tls::kernel::is_there(&[]) {
        let test = "survival::a_session_inside_tls_is_waited_for";
        return machine::skip(test, "the kernel does TLS, so it goes on");
    }
    let ca = Authority::new();
    let pair = ca.here();
    let target = backend::echo().to_string();
    let mut args = pair.options().to_vec();
    args.extend([target.as_str(), "--drain-timeout=3600"]);
    let mut service = Service::start(&args);
    let mut inside = tls::open(service.addr(), &ca);
    inside.expect_echo("inside");
    service
        .process()
        .wait_for_line(|line| line.contains("the kernel does no TLS (modprobe tls)"));
    let mut plain = Ws::open(service.addr());
    plain.expect_echo("plain");
    service.wait_for_stored(1);
    service.process().signal(Signal::USR2);
    service
        .process()
        .wait_until("the drain in the status", |seen| {
            let draining = "EXTEND_TIMEOUT_USEC=5000000\nSTATUS=2 sessions (draining 1), ";
            seen.notices.contains(draining).then_some(())
        });
    inside.expect_echo("for an hour, if it likes");
    let mut new = Ws::open(service.addr());
    new.expect_echo("somebody new");
    inside.send(&Frame::close(1000, ""));
    assert_eq!(inside.close(), "1000");
    drop(inside);
    assert_eq!(service.process().wait().code(), Some(75));
    service.start_anew(|| {});
    plain.expect_echo("in the next process");
    new.expect_echo("as well");
}

/// Of what was under way when the process was killed nobody knows how much has arrived.
#[test]
fn a_session_whose_state_is_not_true_is_closed() {
    let mut service = to(backend::echo());
    let [mut moving, mut newer, mut over, mut good] = [(); 4].map(|()| {
        let mut client = Ws::open(service.addr());
        client.expect_echo("in the order of their numbers");
        client
    });
    service.wait_for_stored(4);
    service.wait_for_rest();
    service.kill_after_writing(&[
        (1, 0, b"wsmoved\n"),
        (2, 8, &[0xff, 0, 0, 0]),
        (3, 0, b"wsended\n"),
    ]);
    assert_eq!(moving.close(), "1012 Session lost in a restart");
    // What the frame of a state is does not change, but that of another version has another checksum.
    assert_eq!(newer.wire.rest(), b"");
    // One that had ended, and only was to be taken out of the store.
    assert_eq!(over.wire.rest(), b"");
    let found = "1 of 3 sessions of the process before go on";
    service.process().wait_for_line(|line| line == found);
    good.expect_echo("nobody else's business");
    let lost = |number: u32, why: &str| {
        service.process().wait_for_line(|line| {
            line.starts_with(&format!("session {number} of client=")) && line.ends_with(why)
        });
    };
    lost(
        1,
        "is lost: the process ended while its bytes were on their way",
    );
    lost(2, "is lost: its state is damaged");
    service.wait_for_stored(1);
}
