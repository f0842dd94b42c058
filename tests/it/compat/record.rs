//! `--record`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Frame, Ws};

fn recording(folder: &Path, target: SocketAddr) -> Bridge {
    let file = format!("--record={}", folder.join("tape").display());
    Bridge::start(&["127.0.0.1:{port}", &target.to_string(), &file])
}

/// A recording with its times, which differ from run to run, written `MS`.
fn timeless(script: &str) -> String {
    let line = |line: &str| {
        let mut parts = line.splitn(3, ['{', '}']);
        match (parts.next(), parts.next(), parts.next()) {
            (Some("'"), Some(time), Some(data)) if time.parse::<u64>().is_ok() => {
                format!("'{way}MS{way}{data}\n", way = &line[1..2])
            }
            _ => format!("{line}\n"),
        }
    };
    script.lines().map(line).collect()
}

/// What the first recording holds when the bridge has ended.
fn end(bridge: &Bridge, folder: &Path) -> String {
    bridge.terminate();
    bridge.wait();
    timeless(&fs::read_to_string(folder.join("tape.1")).unwrap())
}

/// Every byte is written as Python writes it.
#[test]
fn the_script() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = recording(folder.path(), backend::echo());
    let mut client = Ws::open(bridge.addr());
    let all: Vec<u8> = (0..=255).collect();
    client.expect_echo("RFB 003.008\n");
    client.expect_echo(all);
    client.expect_echo("it's a \"\\\"\r\n\t");
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    let script = end(&bridge, folder.path());
    let hex = |bytes: std::ops::RangeInclusive<u8>| -> String {
        bytes.map(|byte| format!("\\x{byte:02x}")).collect()
    };
    let printable: String = (' '..='~').collect();
    let all = [
        &hex(0..=8),
        "\\t\\n",
        &hex(11..=12),
        "\\r",
        &hex(14..=31),
        &printable.replace('\\', "\\\\").replace('\'', "\\'"),
        &hex(127..=255),
    ]
    .concat();
    let lines = ["RFB 003.008\\n", &all, "it\\'s a \"\\\\\"\\r\\n\\t"];
    let lines: String = lines
        .iter()
        .map(|line| format!("'}}MS}}{line}',\n'{{MS{{{line}',\n"))
        .collect();
    assert_eq!(script, format!("var VNC_frame_data = [\n{lines}'EOF'];\n"));
}

/// Each message is a line, in however many frames it came, and whatever came between them.
#[test]
fn messages() {
    let folder = tempfile::tempdir().unwrap();
    let (target, heard) = backend::hear("");
    let bridge = recording(folder.path(), target);
    let mut client = Ws::open(bridge.addr());
    client.send(&Frame::binary("in ").unfinished());
    client.send(&Frame::ping("not recorded"));
    client.send(&Frame::continuation("two, "));
    client.send(&Frame::binary("in one"));
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    assert_eq!(backend::next(&heard), b"in two, in one");
    assert_eq!(
        end(&bridge, folder.path()),
        "var VNC_frame_data = [\n'}MS}in two, ',\n'}MS}in one',\n'EOF'];\n"
    );
}

/// A message that the target answers before it is whole.
#[test]
fn interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = recording(folder.path(), backend::echo());
    let mut client = Ws::open(bridge.addr());
    client.send(&Frame::binary("half ").unfinished());
    // websockify holds a message back until it is whole.
    if differs("record-interrupted", false, true) {
        assert_eq!(client.recv_data(5), b"half ");
    }
    client.send(&Frame::continuation("whole"));
    let left = differs("record-interrupted", 10, 5);
    client.recv_data(left);
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    let lines = differs(
        "record-interrupted",
        "'}MS}half whole',\n'{MS{half whole',\n",
        "'}MS}half ',\n'{MS{half ',\n'}MS}whole',\n'{MS{whole',\n",
    );
    assert_eq!(
        end(&bridge, folder.path()),
        format!("var VNC_frame_data = [\n{lines}'EOF'];\n")
    );
}

/// A client that was promised a session has a recording, and it can be played.
#[test]
fn no_target() {
    let folder = tempfile::tempdir().unwrap();
    let (target, _kept) = backend::refuse();
    let bridge = recording(folder.path(), target);
    assert_eq!(
        Ws::open(bridge.addr()).close(),
        "1011 Failed to connect to downstream server"
    );
    assert_eq!(
        end(&bridge, folder.path()),
        "var VNC_frame_data = [\n'EOF'];\n"
    );
}

/// A recording is for its owner's eyes, and the next does not take its place.
#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape.1");
    fs::write(&tape, "of yesterday").unwrap();
    let bridge = recording(folder.path(), backend::say("new"));
    Ws::open(bridge.addr()).end();
    bridge.terminate();
    bridge.wait();
    let kept = fs::read(&tape).unwrap() == b"of yesterday";
    assert_eq!(kept, differs("record-overwritten", false, true));
    let own = differs("record-overwritten", "tape.1", "tape.2");
    let script = fs::read_to_string(folder.path().join(own)).unwrap();
    assert!(script.contains("{new'"), "{script}");
    let mode = fs::metadata(folder.path().join(own)).unwrap().permissions();
    let of_others = mode.mode() & 0o077 != 0;
    assert_eq!(of_others, differs("record-mode", true, false));
}
