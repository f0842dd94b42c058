//! The drafts hixie-75 and hixie-76.

use super::{HIXIE, KEY3, KEYS, SOLUTION, bridge, frame, head, until};
use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::record::said;
use crate::tls::{Authority, Dialer};
use crate::wire::{Wire, Ws};

const MIB: usize = 1 << 20;

/// Opens a session of draft 76.
fn open76(mut wire: Wire) -> Wire {
    wire.send(format!("{HIXIE}{KEYS}\r\n{KEY3}"));
    assert!(head(&mut wire).starts_with("HTTP/1.1 101 "));
    assert_eq!(wire.take(16).unwrap(), SOLUTION);
    wire
}

fn open75(bridge: &Bridge) -> Wire {
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!("{HIXIE}\r\n"));
    assert!(head(&mut wire).starts_with("HTTP/1.1 101 "));
    wire
}

/// Frames' bytes, until there are `n` of them.
fn recv_data(wire: &mut Wire, n: usize) -> Vec<u8> {
    use ::base64::Engine;
    let mut data = Vec::new();
    while data.len() < n {
        let frame = until(wire, &[0xff]);
        let [0, text @ .., 0xff] = &frame[..] else {
            panic!("{frame:?} after {} bytes", data.len());
        };
        data.extend(::base64::prelude::BASE64_STANDARD.decode(text).unwrap());
    }
    data
}

fn expect_echo(wire: &mut Wire, bytes: &[u8]) {
    wire.send(frame(bytes));
    assert_eq!(recv_data(wire, bytes.len()), bytes);
}

/// What a client of draft 75 compares to the letter comes first; of the rest only our own headers
/// are not in the drafts.
#[test]
fn the_answer_of_draft_75() {
    let bridge = bridge();
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!("{HIXIE}WebSocket-Protocol: base64\r\n\r\n"));
    let head = head(&mut wire);
    let expected = "HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
        Upgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Websocket-Origin: http://example.com\r\n\
        Websocket-Location: ws://example.com/demo?token=x\r\n\
        Websocket-Protocol: base64\r\n";
    assert!(head.starts_with(expected), "{head}");
    expect_echo(&mut wire, b"hello");
    // It has no goodbye but its end.
    wire.finish();
    assert_eq!(wire.rest(), b"");
    let told = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(
        told.contains(" framing=hixie-75 from_client=5 to_client=5 "),
        "{told}"
    );
}

#[test]
fn the_answer_of_draft_76() {
    let bridge = bridge();
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!(
        "{HIXIE}Sec-WebSocket-Protocol: base64\r\n{KEYS}\r\n{KEY3}"
    ));
    let head = head(&mut wire);
    let expected = "HTTP/1.1 101 Web Socket Protocol Handshake\r\n\
        Upgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Sec-Websocket-Origin: http://example.com\r\n\
        Sec-Websocket-Location: ws://example.com/demo?token=x\r\n\
        Sec-Websocket-Protocol: base64\r\n";
    assert!(head.starts_with(expected), "{head}");
    assert_eq!(wire.take(16).unwrap(), SOLUTION);
    expect_echo(&mut wire, b"hello");
    wire.send([0xff, 0x00]);
    assert_eq!(wire.rest(), [0xff, 0x00]);
    let told = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(
        told.contains(" framing=hixie-76 from_client=5 to_client=5 "),
        "{told}"
    );
    assert!(told.contains(" code=1005 by=client "), "{told}");
}

/// The eight bytes behind the request, and frames behind them, come as the network likes.
#[test]
fn the_request_at_any_split() {
    let bridge = bridge();
    let request = format!("{HIXIE}{KEYS}\r\n{KEY3}").into_bytes();
    let all = [request.clone(), frame("early")].concat();
    let end = request.len();
    for cut in [
        end - 9,
        end - 8,
        end - 7,
        end - 1,
        end,
        end + 1,
        end + 4,
        all.len(),
    ] {
        let mut wire = Wire::connect(bridge.addr());
        wire.stream().set_nodelay(true).unwrap();
        wire.send(&all[..cut]);
        let front = if cut >= end - 8 {
            head(&mut wire)
        } else {
            String::new()
        };
        wire.send(&all[cut..]);
        let front = if front.is_empty() {
            head(&mut wire)
        } else {
            front
        };
        assert!(front.starts_with("HTTP/1.1 101 "), "cut at {cut}");
        assert_eq!(wire.take(16).unwrap(), SOLUTION, "cut at {cut}");
        assert_eq!(recv_data(&mut wire, 5), b"early", "cut at {cut}");
    }
}

#[test]
fn megabytes_both_ways_in_frames_cut_anywhere() {
    let data = pattern(MIB);
    let bridge = bridge();
    for mut wire in [open75(&bridge), open76(Wire::connect(bridge.addr()))] {
        let mut sender = wire.stream().try_clone().unwrap();
        let sent = data.clone();
        let sending = std::thread::spawn(move || {
            use std::io::Write;
            let mut stream = Vec::new();
            let mut rest = &sent[..];
            for size in [1, 2, 3, 1000, 65537, 300_001].into_iter().cycle() {
                let (message, more) = rest.split_at(size.min(rest.len()));
                stream.extend(frame(message));
                stream.extend([0x00, 0xff]);
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            for piece in stream.chunks(7919) {
                sender.write_all(piece).unwrap();
            }
        });
        assert!(recv_data(&mut wire, data.len()) == data);
        sending.join().unwrap();
    }
}

/// All that the target said, then the goodbye of the draft, then our end, without waiting for an
/// answer that old clients do not give.
#[test]
fn the_target_ends() {
    let target = backend::say("last words").to_string();
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target, "--legacy-protocols"]);
    let mut old = open75(&bridge);
    assert_eq!(old.rest(), frame("last words"));
    let mut new = open76(Wire::connect(bridge.addr()));
    assert_eq!(
        new.rest(),
        [&frame("last words")[..], &[0xff, 0x00]].concat()
    );
}

#[test]
fn no_target() {
    let (target, _kept) = backend::refuse();
    let bridge = Bridge::start(&[
        "127.0.0.1:{port}",
        &target.to_string(),
        "--legacy-protocols",
    ]);
    assert_eq!(open75(&bridge).rest(), b"");
    assert_eq!(open76(Wire::connect(bridge.addr())).rest(), [0xff, 0x00]);
    let told = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(told.contains(" code=1011 by=target "), "{told}");
}

#[test]
fn what_breaks_the_protocol_ends_the_session_behind_what_did_not() {
    for wrong in [
        &b"\x01aGVsbG8=\xff"[..],
        b"\0not base64!\xff",
        b"\0a\xff",
        b"\xff\x05",
    ] {
        let (target, heard) = backend::hear("");
        let bridge = Bridge::start(&[
            "127.0.0.1:{port}",
            &target.to_string(),
            "--legacy-protocols",
        ]);
        let mut wire = open76(Wire::connect(bridge.addr()));
        wire.send([&frame("good ")[..], wrong, &frame("later")].concat());
        wire.finish();
        assert_eq!(wire.rest(), [0xff, 0x00], "{wrong:?}");
        let heard = backend::next(&heard);
        assert!(
            heard.starts_with(b"good ") && heard.len() <= 8 + 5,
            "{heard:?}"
        );
        assert!(!heard.ends_with(b"later"), "{heard:?}");
    }
}

#[test]
fn a_ping_is_no_frame_of_theirs() {
    let target = backend::echo().to_string();
    let args = [
        "127.0.0.1:{port}",
        &target,
        "--legacy-protocols",
        "--heartbeat=1",
    ];
    let bridge = Bridge::start(&args);
    let mut wire = open76(Wire::connect(bridge.addr()));
    // A client of today beside it is pinged twice meanwhile, and is silent, so it is closed.
    assert_eq!(Ws::open(bridge.addr()).close(), "1011 No answer to ping");
    expect_echo(&mut wire, b"still here");
}

#[test]
fn by_tls_the_location_says_so() {
    let ca = Authority::new();
    let pair = ca.here();
    let target = backend::echo().to_string();
    let args = ["127.0.0.1:{port}", &target, "--legacy-protocols"];
    let bridge = Bridge::start(&[&args[..], &pair.options()].concat());
    let mut wire = Dialer::new(&ca).dial(bridge.addr()).unwrap().wire;
    wire.send(format!("{HIXIE}{KEYS}\r\n{KEY3}"));
    let head = head(&mut wire);
    assert!(
        head.contains("\r\nSec-Websocket-Location: wss://example.com/demo?token=x\r\n"),
        "{head}"
    );
    assert_eq!(wire.take(16).unwrap(), SOLUTION);
    expect_echo(&mut wire, b"hello");
    wire.send([0xff, 0x00]);
    assert_eq!(wire.take(2).unwrap(), [0xff, 0x00]);
}

/// Old clients pass the same door as new ones.
#[test]
fn who_may_come_in() {
    let target = backend::echo().to_string();
    let args = ["127.0.0.1:{port}", &target, "--legacy-protocols"];
    let origin = [
        "--auth-plugin=ExpectOrigin",
        "--auth-source=http://example.com",
    ];
    let password = ["--auth-plugin=BasicHTTPAuth", "--auth-source=jane:secret"];
    let bridge = Bridge::start(&[&args[..], &origin, &password].concat());
    let jane = "Authorization: Basic amFuZTpzZWNyZXQ=\r\n";
    let strange = HIXIE.replace("Origin: http://example.com", "Origin: http://evil.example");
    for (request, status) in [
        (format!("{HIXIE}{jane}{KEYS}"), "101"),
        (format!("{HIXIE}{KEYS}"), "401"),
        (format!("{strange}{jane}{KEYS}"), "403"),
        (format!("{HIXIE}{jane}"), "101"),
        (HIXIE.to_owned(), "401"),
        (format!("{strange}{jane}"), "403"),
    ] {
        let mut wire = Wire::connect(bridge.addr());
        let draft76 = request.ends_with(KEYS);
        wire.send(format!("{request}\r\n{}", if draft76 { KEY3 } else { "" }));
        let head = head(&mut wire);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        if draft76 && status != "101" {
            // The eight bytes behind the request are not taken for another one.
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
            let rest = String::from_utf8(wire.rest()).unwrap();
            assert!(!rest.contains("HTTP/1.1"), "{rest}");
        }
    }
}

#[test]
fn requests_that_the_drafts_forbid() {
    let bridge = bridge();
    for (from, to) in [
        ("Origin: http://example.com\r\n", ""),
        ("Host: example.com\r\n", ""),
        ("4 @1  46546xW%0l 1 5", "4@146546xW%0l15"),
        ("4 @1  46546xW%0l 1 5", "4 @1  46546xW%0l 1 6"),
        ("Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n", ""),
        ("Connection: Upgrade\r\n", ""),
        ("HTTP/1.1", "HTTP/1.0"),
    ] {
        let request = format!("{HIXIE}{KEYS}\r\n{KEY3}").replace(from, to);
        let mut wire = Wire::connect(bridge.addr());
        wire.send(request);
        let head = head(&mut wire);
        assert!(head.contains(" 400 Bad Request\r\n"), "{from}: {head}");
    }
    // A client that never sends what has to follow holds nothing for long.
    let mut silent = Wire::connect(bridge.addr());
    silent.send(format!("{HIXIE}{KEYS}\r\n{}", &KEY3[..7]));
    assert!(head(&mut silent).starts_with("HTTP/1.1 101 "));
    assert_eq!(silent.rest(), b"");
}

/// They are off unless asked for, and those of today are not touched.
#[test]
fn without_the_option() {
    let bridge = Bridge::to(&backend::echo());
    for request in [format!("{HIXIE}\r\n"), format!("{HIXIE}{KEYS}\r\n{KEY3}")] {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(request);
        let head = head(&mut wire);
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    }
    let old = super::bridge();
    Ws::open(old.addr()).expect_echo("hello");
}

#[test]
fn a_recording_holds_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let record = format!("--record={}", folder.path().join("tape").display());
    let target = backend::echo().to_string();
    let args = ["127.0.0.1:{port}", &target, "--legacy-protocols", &record];
    let bridge = Bridge::start(&args);
    let mut wire = open76(Wire::connect(bridge.addr()));
    expect_echo(&mut wire, b"hello");
    wire.send([0x00, 0xff, 0xff, 0x00]);
    assert_eq!(wire.rest(), [0xff, 0x00]);
    bridge.terminate();
    bridge.wait();
    let script = std::fs::read_to_string(folder.path().join("tape.1")).unwrap();
    assert_eq!(said(&script), ["hello',", "hello',"]);
}

/// Nobody waits for the bytes behind a request when the bridge ends.
#[test]
fn the_end_of_the_bridge_in_the_middle_of_a_handshake() {
    let bridge = bridge();
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!("{HIXIE}{KEYS}\r\n"));
    assert!(head(&mut wire).starts_with("HTTP/1.1 101 "));
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    assert!(!bridge.stderr().contains("connections left"));
    assert_eq!(wire.rest(), b"");
}
