//! `--record` where the disk is full, slow or shared. The session must not notice.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::machine;
use crate::wire::{Frame, Ws};

const MIB: usize = 1 << 20;

fn recorded(file: &Path) -> String {
    format!("--record={}", file.display())
}

/// Every line is whole, so it is a script.
pub(crate) fn assert_playable(script: &str) {
    let lines: Vec<&str> = script.lines().collect();
    let [first, messages @ .., last] = &lines[..] else {
        panic!("{script}");
    };
    assert_eq!((*first, *last), ("var VNC_frame_data = [", "'EOF'];"));
    for line in messages {
        assert!(line.starts_with("'{") || line.starts_with("'}"), "{line}");
        assert!(line.ends_with("',") && !line.ends_with("\\',"), "{line}");
    }
}

/// What both sides said, by a script in which no brace was said.
pub(crate) fn said(script: &str) -> Vec<&str> {
    script
        .lines()
        .filter_map(|it| it.split(['{', '}']).nth(2))
        .collect()
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let Some(apart) = machine::apart(
        "--mount",
        "record::a_full_disk_ends_the_recording_and_nothing_else",
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().display();
    let mount = format!("mount -t tmpfs -o size=256k none {disk} && exec \"$@\"");
    let bridge = Bridge::start_under(
        &[&apart[..], &["sh", "-c", &mount, "sh"]].concat(),
        &[
            "127.0.0.1:{port}",
            &backend::echo().to_string(),
            &recorded(&folder.path().join("tape")),
        ],
    );
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("before");
    client.expect_echo(pattern(MIB));
    let told = bridge.wait_for_line(|line| line.contains("ended early"));
    assert!(told.contains("tape.1 ended early: No space left"), "{told}");
    client.expect_echo("after");
    // The disk has no room for the next recording either, and the next session is served.
    Ws::open(bridge.addr()).expect_echo("the next");
    let inside = format!("/proc/{}/root{disk}/tape.1", bridge.pid());
    let script = fs::read_to_string(inside).unwrap();
    assert_playable(&script);
    assert!(script.contains("}before',\n"), "{script}");
    assert_eq!(
        bridge.stderr().matches("tape.1 ended early").count(),
        1,
        "told once"
    );
}

/// strace holds every write to the file up for seconds, and the thread that asked for it.
#[test]
fn a_slow_disk_ends_the_recording_and_nothing_else() {
    let mut probe = Command::new("strace");
    let traced = probe.args(["-o", "/dev/null", "true"]).status();
    if !traced.is_ok_and(|status| status.success()) {
        return machine::skip(
            "record::a_slow_disk_ends_the_recording_and_nothing_else",
            "strace may not trace here",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let first = format!("{}.1", tape.display());
    let trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", &first];
    let slow = ["-e", "inject=write:delay_enter=8000000"];
    let bridge = Bridge::start_under(
        &[&trace[..], &slow].concat(),
        &[
            "127.0.0.1:{port}",
            &backend::echo().to_string(),
            &recorded(&tape),
        ],
    );
    let mut client = Ws::open(bridge.addr());
    for _ in 0..40 {
        client.expect_echo(pattern(MIB));
    }
    let told = bridge.wait_for_line(|line| line.contains("ended early"));
    assert!(
        told.ends_with("ended early: the disk is too slow"),
        "{told}"
    );
    client.expect_echo("after");
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    // Nor does our end wait for it.
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    let told = bridge.stderr();
    assert!(told.contains("recordings are not whole"), "{told}");
}

#[test]
fn several_bridges_record_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let tape = recorded(&folder.path().join("tape"));
    let target = backend::echo().to_string();
    let start = || Bridge::start(&["127.0.0.1:{port}", &target, &tape]);
    let bridges = [start(), start()];
    for round in 0..3 {
        for (at, bridge) in bridges.iter().enumerate() {
            Ws::open(bridge.addr()).expect_echo(format!("{at}-{round}"));
        }
    }
    for bridge in bridges {
        bridge.terminate();
        bridge.wait();
    }
    let mut seen: Vec<String> = (1..=6)
        .map(|n| {
            let script = fs::read_to_string(folder.path().join(format!("tape.{n}"))).unwrap();
            assert_playable(&script);
            script.lines().nth(1).unwrap().rsplit('}').next().unwrap()[..3].to_owned()
        })
        .collect();
    seen.sort();
    assert_eq!(seen, ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2"]);
}

#[test]
fn a_recording_is_whole_when_the_bridge_ends_in_the_middle_of_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let target = backend::echo().to_string();
    let tape = recorded(&folder.path().join("tape"));
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target, &tape]);
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("hello");
    client.send(&Frame::binary("half a mess").unfinished());
    assert_eq!(client.recv_data(11), b"half a mess");
    bridge.terminate();
    assert_eq!(client.close(), "1001 Server shutting down");
    drop(client);
    bridge.wait();
    let script = fs::read_to_string(folder.path().join("tape.1")).unwrap();
    assert_playable(&script);
    assert!(script.contains("}half a mess',\n"), "{script}");
}

#[test]
fn nowhere_to_record_is_told_at_the_start() {
    for file in ["/nowhere/tape", "/proc/tape/x"] {
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "127.0.0.1:1", "--record", file]);
        assert_eq!(bridge.wait().code(), Some(1), "{file}");
        let told = bridge.stderr();
        assert!(
            told.contains(&format!("--record: cannot write {file}.1: No such file")),
            "{told}"
        );
    }
}
