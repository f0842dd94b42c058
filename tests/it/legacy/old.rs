//! The websockify of those years, beside ours: the same bytes to both, and the same from both, but
//! for what is no protocol (the date, the server's name) and the case of headers' names, which is
//! row `header-case` of docs/COMPAT.md. `tools/setup-old.sh` makes them run.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{HIXIE, KEY3, KEYS, bridge, encoded, frame, until};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::machine;
use crate::process::Process;
use crate::real::{script, succeeds};
use crate::wire::{Frame, UPGRADE, Wire};

/// What a client does.
enum Step {
    Send(Vec<u8>),
    /// Reads up to these bytes.
    Until(&'static [u8]),
    /// Reads so many bytes.
    Take(usize),
    /// Ends its side.
    Finish,
}
use Step::{Finish, Send, Take, Until};

/// What `tools/setup-old.sh` has made; nothing where it could not.
fn made(name: &str, test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/old");
    if !folder.join("installed").exists() {
        machine::skip(test, "tools/setup-old.sh could not be run here");
        return None;
    }
    Some(folder.join(name))
}

/// An old server, to `target`; nothing where none can be had.
fn old(version: &str, target: SocketAddr, test: &str) -> Option<(Process, SocketAddr)> {
    let program = made(&format!("websockify-{version}"), test)?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut command = Command::new(program);
    command
        .args([addr.to_string(), target.to_string()])
        .stdin(Stdio::null());
    let process = Process::spawn(&mut command, None);
    process.wait_until("the old server's readiness", |seen| {
        [&seen.stdout, &seen.stderr]
            .iter()
            .any(|said| said.contains("  - proxying from "))
            .then_some(())
    });
    Some((process, addr))
}

/// Everything that a server says to a client that does these steps, to its end.
fn said(addr: SocketAddr, steps: &[Step]) -> Vec<u8> {
    let mut wire = Wire::connect(addr);
    let mut said = Vec::new();
    for step in steps {
        match step {
            Send(bytes) => wire.send(bytes),
            Until(end) => said.extend(until(&mut wire, end)),
            Take(size) => said.extend(wire.take(*size).unwrap_or_default()),
            Finish => wire.finish(),
        }
    }
    said.extend(wire.rest());
    said
}

/// The same with the names of headers in lower case, and without those that are no protocol.
fn protocol(said: &[u8], ordered: bool) -> (Vec<String>, Vec<u8>) {
    let Some(end) = said.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return (Vec::new(), said.to_vec());
    };
    let head = String::from_utf8_lossy(&said[..end]);
    let mut lines = head.split("\r\n").map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
        None => line.to_owned(),
    });
    let status = lines.next().unwrap();
    let mut lines: Vec<String> = lines
        .filter(|line| !line.starts_with("date: ") && !line.starts_with("server: "))
        .collect();
    if !ordered {
        lines.sort();
    }
    lines.insert(0, status);
    (lines, said[end + 4..].to_vec())
}

fn ours_is_as(version: &str, test: &str, ordered: bool, conversations: &[Vec<Step>]) {
    let Some((_old, old)) = old(version, backend::echo(), test) else {
        return;
    };
    let ours = bridge();
    for (at, steps) in conversations.iter().enumerate() {
        let [theirs, ours] = [old, ours.addr()].map(|addr| protocol(&said(addr, steps), ordered));
        assert_eq!(ours, theirs, "conversation {at} with {version}");
        assert!(
            !theirs.0.is_empty() || !theirs.1.is_empty(),
            "conversation {at}"
        );
    }
}

/// The conversations of drafts 75 and 76.
fn hixie() -> Vec<Vec<Step>> {
    let [hello, rfb] = [frame("hello"), frame("RFB 003.008\n")];
    let draft75 = format!("{HIXIE}\r\n").into_bytes();
    let draft76 = format!("{HIXIE}{KEYS}\r\n{KEY3}").into_bytes();
    let asking = |name: &str, offer: &str, keys: &str| {
        let key3 = if keys.is_empty() { "" } else { KEY3 };
        format!("{HIXIE}{name}: {offer}\r\n{keys}\r\n{key3}").into_bytes()
    };
    vec![
        vec![Send(draft75.clone()), Until(b"\r\n\r\n"), Finish],
        vec![
            Send(draft75),
            Until(b"\r\n\r\n"),
            Send(hello.clone()),
            Until(&[0xff]),
            Send(vec![0xff, 0x00]),
        ],
        vec![
            Send(asking("WebSocket-Protocol", "base64", "")),
            Until(b"\r\n\r\n"),
            Send(hello.clone()),
            Until(&[0xff]),
            Send(frame([0, 255, 128])),
            Until(&[0xff]),
            Send(vec![0xff, 0x00]),
        ],
        vec![
            Send(draft76.clone()),
            Until(b"\r\n\r\n"),
            Take(16),
            Send(rfb),
            Until(&[0xff]),
            Send([&[0x00, 0xff][..], &hello].concat()),
            Until(&[0xff]),
            Send(vec![0xff, 0x00]),
        ],
        vec![
            Send(asking("Sec-WebSocket-Protocol", "base64", KEYS)),
            Until(b"\r\n\r\n"),
            Take(16),
            Send(vec![0xff, 0x00]),
        ],
        vec![
            Send(asking("Sec-WebSocket-Protocol", "other,base64", KEYS)),
            Until(b"\r\n\r\n"),
            Take(16),
            Send(vec![0xff, 0x00]),
        ],
        vec![
            Send(asking("Sec-WebSocket-Protocol", "other", KEYS)),
            Until(b"\r\n\r\n"),
            Take(16),
            Send(vec![0xff, 0x00]),
        ],
        vec![
            Send(draft76.clone()),
            Until(b"\r\n\r\n"),
            Take(16),
            Send(frame(vec![b'x'; 3000])),
            Until(&[0xff]),
            Send(vec![0xff, 0x00]),
        ],
    ]
}

/// The conversations of drafts 07 and 08 and of the RFC, with base64 and with binary frames.
fn hybi() -> Vec<Vec<Step>> {
    let mut all = Vec::new();
    for version in ["7", "8", "13"] {
        let asking = |offer: &str| {
            let head = UPGRADE.replace("Version: 13", &format!("Version: {version}"));
            format!("{head}Sec-WebSocket-Protocol: {offer}\r\n\r\n").into_bytes()
        };
        for offer in ["base64", "binary", "base64,binary"] {
            let text = offer == "base64";
            let send = |payload: &str| {
                Send(if text {
                    Frame::text(&encoded(payload)).encode()
                } else {
                    Frame::binary(payload).encode()
                })
            };
            let size = |payload: &str| {
                let length = if text {
                    encoded(payload).len()
                } else {
                    payload.len()
                };
                Take(length + if length < 126 { 2 } else { 4 })
            };
            let long = "x".repeat(300);
            all.push(vec![
                Send(asking(offer)),
                Until(b"\r\n\r\n"),
                send("hello"),
                size("hello"),
                send(&long),
                size(&long),
                Send(Frame::close(1000, "bye").encode()),
                // 0.8 waits for the client to leave.
                Take(7),
                Finish,
            ]);
        }
    }
    all
}

#[test]
fn the_first_drafts_as_0_4_1() {
    ours_is_as(
        "0.4.1",
        "legacy::old::the_first_drafts_as_0_4_1",
        true,
        &hixie(),
    );
}

#[test]
fn the_first_drafts_as_0_3_0() {
    ours_is_as(
        "0.3.0",
        "legacy::old::the_first_drafts_as_0_3_0",
        true,
        &hixie(),
    );
}

#[test]
fn the_later_drafts_as_0_4_1() {
    ours_is_as(
        "0.4.1",
        "legacy::old::the_later_drafts_as_0_4_1",
        false,
        &hybi(),
    );
}

#[test]
fn the_later_drafts_as_0_8_0() {
    ours_is_as(
        "0.8.0",
        "legacy::old::the_later_drafts_as_0_8_0",
        false,
        &hybi(),
    );
}

/// All that a target says, then the end, in each draft's words.
#[test]
fn the_target_ends_as_0_4_1() {
    let target = backend::say("last words");
    let Some((_old, old)) = old("0.4.1", target, "legacy::old::the_target_ends_as_0_4_1") else {
        return;
    };
    let ours = Bridge::start(&[
        "127.0.0.1:{port}",
        &target.to_string(),
        "--legacy-protocols",
    ]);
    for request in [format!("{HIXIE}\r\n"), format!("{HIXIE}{KEYS}\r\n{KEY3}")] {
        let steps = [Send(request.into_bytes())];
        let [theirs, ours] = [old, ours.addr()].map(|addr| protocol(&said(addr, &steps), true));
        assert_eq!(ours, theirs);
    }
}

/// A player stops at the zero byte, which theirs left out.
#[test]
fn the_policy_as_0_8_0() {
    let test = "legacy::old::the_policy_as_0_8_0";
    let Some((_old, old)) = old("0.8.0", backend::echo(), test) else {
        return;
    };
    let steps = [Send(b"<policy-file-request/>\0".to_vec())];
    let mut theirs = said(old, &steps);
    theirs.push(0);
    assert_eq!(said(bridge().addr(), &steps), theirs);
}

/// A client of 2011 that checks the answer to its keys.
#[test]
fn websocket_client_0_4() {
    let test = "legacy::old::websocket_client_0_4";
    let (Some(python), Some(source)) = (
        made("python2.7", test),
        made("sources/websocket-client-0.4", test),
    ) else {
        return;
    };
    let bridge = bridge();
    let url = format!("ws://{}/websockify", bridge.addr());
    let mut client = Command::new(python);
    client.env("PYTHONPATH", source);
    succeeds(client.arg(script("clients/hixie_client.py")).arg(url));
}
