//! Nobody reads the log, or its disk is full: no session waits for it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use super::{Neighbour, PROMPT, told};
use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::process::DEADLINE;
use crate::record::assert_playable;
use crate::wire::{Wire, Ws};

/// A pipe, and its reading end. That has no end of file, for it is a writer, too.
fn pipe(folder: &Path) -> (String, File) {
    let path = folder.join("pipe");
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    let pipe = File::options().read(true).write(true).open(&path).unwrap();
    (path.display().to_string(), pipe)
}

/// Leaves no room in a pipe.
fn fill(path: &str) {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut pipe = File::options();
    let mut pipe = pipe.write(true).custom_flags(flags).open(path).unwrap();
    while pipe.write(&[b' '; 4096]).is_ok() {}
}

/// Starts a bridge one of whose streams is a file or pipe.
fn with_stream(number: u8, path: &str, args: &[&str]) -> Bridge {
    let redirect = format!("exec \"$@\" {number}>{path}");
    Bridge::start_under(&["sh", "-c", &redirect, "sh"], args)
}

/// Requests, each of which is a record with --verbose.
fn requests(bridge: &Bridge, count: usize) {
    let mut wire = Wire::connect(bridge.addr());
    for _ in 0..count {
        wire.request("HEAD / HTTP/1.1\r\nHost: h\r\n");
    }
}

#[test]
fn standard_error_that_nobody_reads_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut unread) = pipe(folder.path());
    let target = backend::echo().to_string();
    let bridge = with_stream(2, &path, &["--verbose", "127.0.0.1:{port}", &target]);
    let neighbour = Neighbour::beside(bridge.addr());
    // More than the pipe and our queue can hold.
    requests(&bridge, 3000);
    Ws::open(bridge.addr()).expect_echo("meanwhile");
    // Somebody comes to read.
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    let missing = " records are missing here: they were not read in time\n";
    while !String::from_utf8_lossy(&said).contains(missing) {
        let size = unread.read(&mut buffer).unwrap();
        said.extend_from_slice(&buffer[..size]);
    }
    assert_eq!(told(&String::from_utf8(said).unwrap(), missing.trim()), 1);
    // And leaves again: our end does not wait for another.
    requests(&bridge, 3000);
    neighbour.ends(PROMPT);
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
}

/// Its reader is gone for good, or it was closed from the beginning.
#[test]
fn without_standard_error_sessions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, reader) = pipe(folder.path());
    let target = backend::echo().to_string();
    let args = ["--verbose", "127.0.0.1:{port}", &target];
    let broken = with_stream(2, &path, &args);
    drop(reader);
    let closed = with_stream(2, "&-", &args);
    for bridge in [broken, closed] {
        let neighbour = Neighbour::beside(bridge.addr());
        requests(&bridge, 100);
        Ws::open(bridge.addr()).expect_echo("meanwhile");
        neighbour.ends(PROMPT);
        bridge.terminate();
        assert_eq!(bridge.wait().code(), Some(0));
    }
}

#[test]
fn marks_that_nobody_reads_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _unread) = pipe(folder.path());
    let target = backend::echo().to_string();
    fill(&path);
    let bridge = with_stream(1, &path, &["--traffic", "127.0.0.1:{port}", &target]);
    let neighbour = Neighbour::beside(bridge.addr());
    let mut session = Ws::open(bridge.addr());
    // Four marks each, so more than our queue can hold.
    for round in 0..500 {
        session.expect_echo(format!("{round}"));
    }
    neighbour.ends(PROMPT);
    bridge.terminate();
    assert_eq!(session.close(), "1001 Server shutting down");
    drop(session);
    assert_eq!(bridge.wait().code(), Some(0));
}

/// The log and the recordings are on one disk, which is full for a while.
#[test]
fn a_disk_that_has_room_again_is_written_to_again() {
    let test = "failing::logged::a_disk_that_has_room_again_is_written_to_again";
    let Some(apart) = machine::apart("--mount", test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().display();
    let mount = format!("mount -t tmpfs -o size=256k none {disk} && exec \"$@\"");
    let bridge = Bridge::start_under(
        &[&apart[..], &["sh", "-c", &mount, "sh"]].concat(),
        &[
            "--verbose",
            &format!("--log-file={disk}/log"),
            &format!("--record={disk}/tape"),
            "127.0.0.1:{port}",
            &backend::echo().to_string(),
        ],
    );
    let neighbour = Neighbour::beside(bridge.addr());
    bridge.wait_for_line(|line| line.ends_with("tape.1 begins"));
    let inside = format!("/proc/{}/root{disk}", bridge.pid());
    let filler = format!("{inside}/filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap_err();
    // The neighbour's recording needs room, and finds none.
    bridge.wait_for_line(|line| line.contains("tape.1 ended early: No space left"));
    // What is left of the log's last page is not enough for these.
    requests(&bridge, 100);
    Ws::open(bridge.addr()).expect_echo("on a full disk");
    bridge.wait_for_line(|line| line.starts_with("session client="));
    fs::remove_file(filler).unwrap();
    Ws::open(bridge.addr()).expect_echo("with room again");
    bridge.wait_until("records of sessions", |seen| {
        (told(&seen.stderr, "session client=") >= 2).then_some(())
    });
    let log = fs::read_to_string(format!("{inside}/log")).unwrap();
    let missing = " records are missing here: No space left on device";
    assert_eq!(told(&log, missing), 1, "{log}");
    // One line may be cut, and nothing stands behind it.
    let line = log.lines().find_map(|line| line.split_once(missing));
    let (_time, many) = line.unwrap().0.split_once(' ').unwrap();
    let many: usize = many.parse().unwrap_or_else(|_| panic!("{log}"));
    assert!((20..110).contains(&many), "{log}");
    let begun = bridge.stderr();
    let last = begun.lines().rfind(|line| line.ends_with(" begins"));
    let file = last.unwrap().split("file=").nth(1).unwrap();
    let file = file.strip_suffix(" begins").unwrap();
    let tape = format!("/proc/{}/root{file}", bridge.pid());
    neighbour.ends(PROMPT);
    bridge.wait_until("end of the recording", |_| {
        let script = fs::read_to_string(&tape).unwrap();
        script.ends_with("'EOF'];\n").then(|| {
            assert_playable(&script);
            assert!(script.contains("}with room again',"), "{script}");
        })
    });
    assert_eq!(told(&bridge.stderr(), "tape.1 ended early"), 1);
}

/// It is there, goes, and comes back.
#[test]
fn a_log_server_that_is_away_for_a_while_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    let option = format!("--syslog={}", path.display());
    let bridge = Bridge::start(&[&option, "127.0.0.1:{port}", &backend::echo().to_string()]);
    let neighbour = Neighbour::beside(bridge.addr());
    let next = |server: &UnixDatagram| {
        server.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut buffer = [0; 4096];
        let size = server.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    };
    assert!(next(&server).contains("listening on "));
    drop(server);
    fs::remove_file(&path).unwrap();
    for _ in 0..5 {
        Ws::open(bridge.addr()).expect_echo("meanwhile");
    }
    bridge.wait_for_line(|line| line.starts_with("cannot log to "));
    let server = UnixDatagram::bind(&path).unwrap();
    let sessions = std::iter::repeat_with(|| next(&server));
    let sessions = sessions.filter(|record| record.contains(" session client="));
    assert_eq!(sessions.take(5).count(), 5);
    bridge.wait_for_line(|line| line.starts_with("logging to "));
    assert_eq!(told(&bridge.stderr(), "cannot log to "), 1);
    neighbour.ends(PROMPT);
}
