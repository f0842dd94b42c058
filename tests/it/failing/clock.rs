//! The time of day is set, and the program stands still: sessions are timed by neither.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::{Neighbour, PROMPT};
use crate::backend;
use crate::bridge::Bridge;
use crate::machine::skip;
use crate::process::DEADLINE;
use crate::wire::{Frame, PING, Ws};

/// Debian's library that tells a program another time of day.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?;
    let library = |folder: PathBuf| folder.join("faketime/libfaketimeMT.so.1");
    let mut libraries = folders.filter_map(|folder| Some(library(folder.ok()?.path())));
    libraries.find(|library| library.exists())
}

/// What `date` would say in the records of a log file: the year, as far as it matters here.
fn year(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap();
    said.lines().last().unwrap()[..4].to_owned()
}

#[test]
fn a_clock_that_is_set_ends_and_delays_no_session() {
    let Some(library) = library() else {
        let test = "failing::clock::a_clock_that_is_set_ends_and_delays_no_session";
        return skip(test, "there is no libfaketime here");
    };
    let folder = tempfile::tempdir().unwrap();
    let (clock, log) = (folder.path().join("clock"), folder.path().join("log"));
    let set = |time: &str| {
        let new = folder.path().join("new");
        fs::write(&new, time).unwrap();
        fs::rename(new, &clock).unwrap();
    };
    set("+0");
    let option = format!("--log-file={}", log.display());
    let target = backend::echo().to_string();
    // The library looks at its file all the time, which the sandbox does not let it.
    let args = [
        &option,
        "--sandbox=off",
        "--heartbeat=1",
        "127.0.0.1:{port}",
        &target,
    ];
    let bridge = Bridge::start_with(&args, |command| {
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    });
    let neighbour = Neighbour::beside(bridge.addr());
    let mut idle = Ws::open(bridge.addr());
    for (time, then) in [
        ("2041-07-01 12:00:00", "2041"),
        ("1999-07-01 12:00:00", "1999"),
        ("2030-07-01 12:00:00", "2030"),
    ] {
        set(&format!("@{time}"));
        // One that lives and one that is begun, each for a heartbeat.
        let mut new = Ws::open(bridge.addr());
        for session in [&mut idle, &mut new] {
            assert_eq!(session.recv().unwrap().opcode, PING);
            session.send(&Frame::pong(""));
        }
        new.expect_echo("in another time");
        new.send(&Frame::close(1000, ""));
        assert_eq!(new.close(), "1000");
        drop(new);
        bridge.wait_until("record in another time", |_| {
            (year(&log) == then).then_some(())
        });
    }
    neighbour.ends(PROMPT);
    bridge.terminate();
    bridge.wait();
}

/// For longer than two heartbeats, in the middle of what others say.
#[test]
fn a_program_that_stands_still_for_a_while_goes_on() {
    let target = backend::echo().to_string();
    let start = || Bridge::start(&["--heartbeat=1", "127.0.0.1:{port}", &target]);
    let (stopped, clock) = (start(), start());
    let neighbours: Vec<Neighbour> = (0..8).map(|_| Neighbour::beside(stopped.addr())).collect();
    neighbours[7].goes_on();
    stopped.signal(Signal::STOP);
    // Another bridge tells how long that is.
    let mut other = Ws::open(clock.addr());
    for _ in 0..3 {
        assert_eq!(other.recv().unwrap().opcode, PING);
        other.send(&Frame::pong(""));
    }
    stopped.signal(Signal::CONT);
    for neighbour in neighbours {
        neighbour.ends(DEADLINE);
    }
}
