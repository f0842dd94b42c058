//! System calls that fail as they do where the machine has no more to give: strace(1) has them fail
//! in the running program, whatever the kernel here has left.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::{Neighbour, PROMPT, told};
use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::process::Process;
use crate::service::Service;
use crate::tokens::{self, head};
use crate::wire::{Wire, Ws};

/// Whether strace may trace here.
fn may_trace(test: &str) -> bool {
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    let may = traced.is_ok_and(|status| status.success());
    if !may {
        machine::skip(test, "strace may not trace here");
    }
    may
}

/// Does `work` while a call fails.
fn while_failing(process: &Process, fault: &str, work: impl FnOnce()) {
    let mut strace = Command::new("strace");
    let call = fault.split(':').next().unwrap();
    let pid = process.pid().as_raw_nonzero().to_string();
    strace.args(["-f", "-o", "/dev/null", "-p", &pid]);
    strace.args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={fault}")]);
    let strace = Process::spawn(&mut strace, None);
    strace.wait_for_line(|line| line.contains(" attached"));
    work();
    strace.signal(Signal::INT);
    strace.wait();
}

/// ENFILE is the whole machine's limit on open files, ENOBUFS and ENOMEM are its memory, and ENOSPC is
/// a limit on what epoll watches.
#[test]
fn whatever_accept_says_the_listener_goes_on() {
    let test = "failing::faults::whatever_accept_says_the_listener_goes_on";
    if !may_trace(test) {
        return;
    }
    let target = backend::echo();
    for fault in [
        "accept4:error=ENFILE",
        "accept4:error=ENOBUFS",
        "accept4:error=ENOMEM",
        "epoll_ctl:error=ENOSPC",
    ] {
        let bridge = Bridge::to(&target);
        let neighbour = Neighbour::beside(bridge.addr());
        while_failing(&bridge, fault, || {
            // Where it was accepted and cannot be served, it is closed.
            let _waiting: Vec<Wire> = (0..10).map(|_| Wire::connect(bridge.addr())).collect();
            bridge.wait_for_line(|line| line.starts_with("cannot accept on "));
            // For longer than some pauses of the listener.
            neighbour.goes_on_for(100);
        });
        Ws::open(bridge.addr()).expect_echo(fault);
        neighbour.ends(PROMPT);
        assert_eq!(told(&bridge.stderr(), "cannot accept"), 1, "{fault}");
    }
}

#[test]
fn a_target_that_there_is_no_socket_for_is_one_sessions_affair() {
    let test = "failing::faults::a_target_that_there_is_no_socket_for_is_one_sessions_affair";
    if !may_trace(test) {
        return;
    }
    let bridge = Bridge::to(&backend::echo());
    let neighbour = Neighbour::beside(bridge.addr());
    for (error, said) in [
        ("ENFILE", "Too many open files in system"),
        ("ENOBUFS", "buffer"),
    ] {
        while_failing(&bridge, &format!("socket:error={error}"), || {
            let failed = "1011 Failed to connect to downstream server";
            assert_eq!(Ws::open(bridge.addr()).close(), failed);
            bridge.wait_for_line(|line| {
                line.starts_with("cannot connect to ") && line.contains(said)
            });
        });
    }
    Ws::open(bridge.addr()).expect_echo("after");
    neighbour.ends(PROMPT);
}

#[test]
fn a_session_without_a_recording_is_a_session() {
    let test = "failing::faults::a_session_without_a_recording_is_a_session";
    if !may_trace(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tape = format!("--record={}", folder.path().join("tape").display());
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target, &tape]);
    let neighbour = Neighbour::beside(bridge.addr());
    bridge.wait_for_line(|line| line.ends_with("tape.1 begins"));
    let mut session = None;
    while_failing(&bridge, "openat:error=EMFILE", || {
        let session = session.insert(Ws::open(bridge.addr()));
        session.expect_echo("not recorded");
        let early = " ended early: Too many open files";
        bridge.wait_for_line(|line| line.contains(early));
    });
    session.unwrap().expect_echo("still not");
    Ws::open(bridge.addr()).expect_echo("recorded");
    bridge.wait_for_line(|line| line.ends_with("tape.2 begins"));
    neighbour.ends(PROMPT);
    assert_eq!(told(&bridge.stderr(), "ended early"), 1);
}

/// Where there is no memory for a session's state it is not kept, and goes on.
#[test]
fn a_session_without_memory_for_its_state_is_served() {
    let test = "failing::faults::a_session_without_memory_for_its_state_is_served";
    if !may_trace(test) {
        return;
    }
    let service = Service::start(&["--verbose", &backend::echo().to_string()]);
    let neighbour = Neighbour::beside(service.addr());
    service.wait_for_stored(1);
    while_failing(service.process(), "memfd_create:error=ENOMEM", || {
        let mut session = Ws::open(service.addr());
        session.expect_echo("here");
        let unkept = |line: &str| line.contains(" is not kept: Cannot allocate memory");
        service.process().wait_for_line(unkept);
        session.expect_echo("still here");
    });
    let mut next = Ws::open(service.addr());
    next.expect_echo("kept");
    service.wait_for_stored(2);
    neighbour.ends(PROMPT);
}

/// A limit on tasks (TasksMax=, RLIMIT_NPROC), or no memory for a stack. Whoever needs a thread waits
/// for one that is there.
#[test]
fn without_new_threads_everybody_is_served() {
    let test = "failing::faults::without_new_threads_everybody_is_served";
    if !may_trace(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page"), "page").unwrap();
    let tokens = folder.path().join("tokens");
    let target = backend::echo();
    fs::write(&tokens, format!("old: {target}\n")).unwrap();
    let web = format!("--web={}", folder.path().display());
    let bridge = tokens::bridge("TokenFile", &tokens, &[&web]);
    let neighbour = Neighbour::at(bridge.addr(), &head("/?token=old"));
    while_failing(&bridge, "clone3:error=EAGAIN", || {
        let page = "GET /page HTTP/1.1\r\nHost: h\r\n";
        let mut pages: Vec<Wire> = (0..10).map(|_| Wire::connect(bridge.addr())).collect();
        for wire in &mut pages {
            wire.send(format!("{page}\r\n"));
        }
        for wire in &mut pages {
            assert_eq!(wire.response().status, 200);
        }
        bridge.signal(Signal::HUP);
        bridge.wait_for_line(|line| line == "reloaded");
        drop(tokens::opened(&bridge, "/?token=old"));
    });
    neighbour.ends(PROMPT);
    assert!(!bridge.stderr().contains("internal error"), "{bridge:?}");
}
