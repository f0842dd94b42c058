//! Targets that hang, in each state of a session.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::NamedTempFile;

use super::{Neighbour, PROMPT, message, told};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::compat::flow::memory;
use crate::last_bytes::pattern;
use crate::process::{DEADLINE, Process};
use crate::real::{python, script};
use crate::tokens::{self, head};
use crate::wire::{Frame, Wire, Ws};

const MIB: usize = 1 << 20;

/// Gives each connection away, to a test that holds it as long as it likes.
fn given() -> (SocketAddr, Receiver<TcpStream>) {
    let (give, taken) = channel();
    let give = Arc::new(Mutex::new(give));
    let addr = backend::serve(move |stream| drop(give.lock().unwrap().send(stream)));
    (addr, taken)
}

/// A bridge to each of these by its name, and to an echo by `here`.
fn bridge(targets: &[(&str, SocketAddr)]) -> (Bridge, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    let mut lines = format!("here: {}\n", backend::echo());
    for (name, target) in targets {
        lines += &format!("{name}: {target}\n");
    }
    fs::write(&file, lines).unwrap();
    (tokens::bridge("TokenFile", file.path(), &[]), file)
}

fn open(bridge: &Bridge, name: &str) -> Ws {
    let wire = Wire::connect(bridge.addr());
    Ws::upgrade_with(wire, &head(&format!("/?token={name}")))
}

#[test]
fn each_state_has_an_end_and_no_neighbour_notices() {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    full.listen(0).unwrap();
    let unanswered = full.local_addr().unwrap().as_socket().unwrap();
    let _queue = TcpStream::connect(unanswered).unwrap();
    let (mute, mutes) = given();
    let (deaf, deafs) = given();
    let (half, halves) = given();
    let (reset, resets) = given();
    let (bridge, _tokens) = bridge(&[
        ("full", unanswered),
        ("mute", mute),
        ("deaf", deaf),
        ("half", half),
        ("reset", reset),
    ]);
    let neighbour = Neighbour::at(bridge.addr(), &head("/?token=here"));

    // Accepts, and then neither reads nor says nor closes.
    let mut to_mute = open(&bridge, "mute");
    let muted = mutes.recv_timeout(DEADLINE).unwrap();
    to_mute.send(&Frame::binary("anybody there?"));
    to_mute.send(&Frame::close(1000, ""));

    // Takes nothing of all that its client has to say: that costs what is in the kernel, and a read.
    let pid = bridge.pid().as_raw_pid();
    let before = memory(pid);
    let to_deaf = open(&bridge, "deaf");
    let mut deafened = deafs.recv_timeout(DEADLINE).unwrap();
    let stream = to_deaf.wire.stream().try_clone().unwrap();
    let said = pattern(32 * MIB);
    let frame = Frame::binary(said.clone()).encode();
    let sending = thread::spawn(move || (&stream).write_all(&frame));
    neighbour.goes_on_for(100);
    let more = memory(pid).saturating_sub(before);
    assert!(
        more < 4 * MIB,
        "{more} bytes for a target that takes nothing"
    );
    assert!(!sending.is_finished());
    let mut heard = vec![0; said.len()];
    deafened.read_exact(&mut heard).unwrap();
    assert!(heard == said);
    sending.join().unwrap().unwrap();

    // Nobody answers for ever: not even a connection.
    let mut unanswered: Vec<Ws> = (0..3).map(|_| open(&bridge, "full")).collect();

    // Ends its half, and hears what the client says all the same.
    let mut to_half = open(&bridge, "half");
    let mut halved = halves.recv_timeout(DEADLINE).unwrap();
    to_half.send(&Frame::binary("last words"));
    halved.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(to_half.close(), "1000 Target closed");
    to_half.send(&Frame::close(1000, ""));
    let mut heard = String::new();
    halved.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "last words");

    let mut to_reset = open(&bridge, "reset");
    let broken = resets.recv_timeout(DEADLINE).unwrap();
    SockRef::from(&broken)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(broken);
    assert!(to_reset.close().starts_with("1011 "));

    // Nothing of that waited for those whose target does not answer.
    for session in &unanswered {
        let stream = session.wire.stream();
        stream.set_nonblocking(true).unwrap();
        let error = stream.peek(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        stream.set_nonblocking(false).unwrap();
    }
    assert_eq!(to_mute.close(), "1000");
    drop(muted);
    for session in &mut unanswered {
        assert_eq!(
            session.close(),
            "1011 Failed to connect to downstream server"
        );
    }
    bridge.wait_until("record for each", |seen| {
        let why = "no answer within the time for connecting";
        (told(&seen.stderr, why) == unanswered.len()).then_some(())
    });
    neighbour.ends(PROMPT);
}

/// A target that stands still for a while and then goes on.
#[test]
fn a_target_that_is_stopped_and_continued_gets_all_of_it() {
    let port = free_port();
    let mut target = python();
    target
        .arg(script("systemd/peer.py"))
        .args(["target", &port.to_string()]);
    let target = Process::spawn(&mut target, None);
    target.wait_until("target", |seen| {
        seen.stdout.contains("listening").then_some(())
    });
    let (bridge, _tokens) = bridge(&[("stopped", ([127, 0, 0, 1], port).into())]);
    let neighbour = Neighbour::at(bridge.addr(), &head("/?token=here"));
    let mut session = open(&bridge, "stopped");
    session.expect_echo("before");
    target.signal(Signal::STOP);
    let said = pattern(32 * MIB);
    let frame = Frame::binary(said.clone()).encode();
    let stream = session.wire.stream().try_clone().unwrap();
    let sending = thread::spawn(move || (&stream).write_all(&frame));
    neighbour.goes_on_for(100);
    assert!(!sending.is_finished());
    target.signal(Signal::CONT);
    assert!(session.recv_data(said.len()) == said);
    sending.join().unwrap().unwrap();
    super::comes_back(&mut session, &message(1));
    neighbour.ends(PROMPT);
}
