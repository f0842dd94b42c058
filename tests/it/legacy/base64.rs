//! The subprotocol `base64`, as websockify had it until 0.8.

use ::base64::Engine;
use ::base64::prelude::BASE64_STANDARD;

use super::encoded;
use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::real::{node, succeeds};
use crate::record::said;
use crate::wire::{Frame, UPGRADE, Wire, Ws};

const MIB: usize = 1 << 20;

const TEXT: u8 = 1;

/// Upgrades as noVNC's websock.js did where a browser had no binary frames.
fn open(bridge: &Bridge) -> Ws {
    let mut wire = Wire::connect(bridge.addr());
    let response = wire.request(&format!("{UPGRADE}Sec-WebSocket-Protocol: base64\r\n"));
    let chosen = response.header("sec-websocket-protocol");
    assert_eq!((response.status, chosen), (101, Some("base64")));
    Ws { wire }
}

/// The bytes of text frames, until there are `n` of them. Each frame is base64 of its own.
fn recv_data(client: &mut Ws, n: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < n {
        let frame = client.recv().expect("more data");
        assert_eq!((frame.opcode, frame.fin), (TEXT, true), "{frame:?}");
        assert!(frame.payload.len() <= 65536_usize.div_ceil(3) * 4);
        data.extend(BASE64_STANDARD.decode(&frame.payload).unwrap());
    }
    data
}

#[test]
fn text_both_ways() {
    let bridge = Bridge::to(&backend::echo());
    let mut client = open(&bridge);
    for bytes in [&b"a"[..], b"ab", b"abc", b"RFB 003.008\n", &[0, 255, 128]] {
        client.send(&Frame::text(&encoded(bytes)));
        let frame = client.recv().unwrap();
        assert_eq!(frame, Frame::text(&encoded(bytes)).unmasked());
    }
    // Whoever sends base64 in binary frames was understood, too.
    client.send(&Frame::binary(encoded("binary")));
    assert_eq!(recv_data(&mut client, 6), b"binary");
    client.send(&Frame::ping("are you there"));
    assert_eq!(client.recv(), Some(Frame::pong("are you there").unmasked()));
    client.send(&Frame::close(1000, "bye"));
    assert_eq!(client.close(), "1000 bye");
    let told = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(told.contains("from_client=27 to_client=27 "), "{told}");
}

#[test]
fn megabytes_in_messages_of_any_size_and_cut_anywhere() {
    let data = pattern(2 * MIB);
    let bridge = Bridge::to(&backend::echo());
    let mut client = open(&bridge);
    let mut sender = Ws {
        wire: Wire::over(client.wire.stream().try_clone().unwrap()),
    };
    let sent = data.clone();
    let sending = std::thread::spawn(move || {
        let mut rest = &sent[..];
        for size in [1, 2, 3, 10, 1000, 65537, 500_001, 7].into_iter().cycle() {
            let (message, more) = rest.split_at(size.min(rest.len()));
            let text = encoded(message).into_bytes();
            // A cut in the middle of four letters.
            let (front, back) = text.split_at((text.len() * 2 / 3) | 1);
            sender.send(&Frame::text(std::str::from_utf8(front).unwrap()).unfinished());
            sender.send(&Frame::continuation(back));
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    });
    assert!(recv_data(&mut client, data.len()) == data);
    sending.join().unwrap();
}

#[test]
fn all_that_the_target_said_comes_before_its_goodbye() {
    let data = pattern(MIB + 1);
    let bridge = Bridge::to(&backend::say(data.clone()));
    let mut client = open(&bridge);
    assert!(recv_data(&mut client, data.len()) == data);
    assert_eq!(client.close(), "1000 Target closed");
}

#[test]
fn what_is_not_base64_ends_the_session_behind_what_was() {
    for wrong in ["aGVsbG8", "aGVsbG8=aGVsbG8=", "aGVs_G8=", "aGVsbG8\u{e9}"] {
        let (target, heard) = backend::hear("");
        let bridge = Bridge::to(&target);
        let mut client = open(&bridge);
        client.send(&Frame::text("Z29vZCA="));
        client.send(&Frame::text(wrong));
        client.send(&Frame::text("bGF0ZXI="));
        assert_eq!(client.close(), "1007 Protocol error: Invalid base64");
        drop(client);
        let heard = backend::next(&heard);
        assert!(
            heard.starts_with(b"good hel") && heard.len() <= 10,
            "{heard:?}"
        );
    }
}

/// They come from encoders for mail, such as old Java's, and never hurt.
#[test]
fn line_breaks_are_passed_over() {
    let bridge = Bridge::to(&backend::echo());
    let mut client = open(&bridge);
    client.send(&Frame::text("aGVs\r\nbG8=\r\n"));
    assert_eq!(recv_data(&mut client, 5), b"hello");
}

/// A recording holds what was said, not how.
#[test]
fn a_recording_holds_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let record = format!("--record={}", tape.display());
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target, &record]);
    let mut client = open(&bridge);
    for part in ["first", "second"] {
        client.send(&Frame::text(&encoded(part)));
        recv_data(&mut client, part.len());
    }
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    bridge.terminate();
    bridge.wait();
    let script = std::fs::read_to_string(folder.path().join("tape.1")).unwrap();
    assert_eq!(
        said(&script),
        ["first',", "first',", "second',", "second',"]
    );
}

#[test]
fn the_ws_package_of_node() {
    let bridge = Bridge::to(&backend::echo());
    let url = format!("ws://{}/websockify", bridge.addr());
    succeeds(node("clients/base64_client.mjs").arg(url));
}
