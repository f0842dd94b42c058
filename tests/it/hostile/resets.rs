//! Clients that are gone by a reset, at each state: nothing of them stays, their target is told, and
//! each session has its record.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::{Siege, TURNS, open, target};
use crate::bridge::Bridge;
use crate::tls::Authority;
use crate::wire::{Frame, UPGRADE, Wire, Ws};

/// Clients that go in each way.
const MANY: usize = 32;

/// What a client does before it goes.
type Act = fn(&mut Ws);

/// Ends a connection as a crashed machine's answer does.
fn reset(wire: &Wire) {
    let socket = SockRef::from(wire.stream());
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn at_each_state_nothing_stays() {
    let ca = Authority::new();
    let (pair, target) = (ca.here(), target().to_string());
    let bridge = Bridge::start(&[&pair.options()[..], &["127.0.0.1:{port}", &target]].concat());
    let siege = Siege::of(bridge);
    let addr = siege.addr();
    let before_a_session: [(&str, &[u8]); 5] = [
        ("connected", b""),
        (
            "within TLS's first record",
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc],
        ),
        ("behind TLS's first record", &[0x16, 3, 1, 0, 2, 1, 0]),
        ("within the head", b"GET / HTTP/1.1\r\nHost:"),
        ("before the answer", UPGRADE.as_bytes()),
    ];
    for (state, bytes) in before_a_session {
        let wires: Vec<Wire> = (0..MANY).map(|_| begun(addr, bytes)).collect();
        wires.iter().for_each(reset);
        drop(wires);
        siege.until(state, |now| now.descriptors == siege.quiet.descriptors);
    }
    let in_a_session: [(&str, Act); 6] = [
        ("idle", |_| {}),
        ("within a frame", |ws| {
            let frame = Frame::binary([0; 1000]).encode();
            ws.wire.send(&frame[..500]);
        }),
        ("within a header", |ws| ws.wire.send([0x82, 0xfe, 1])),
        ("with bytes unread", |ws| ws.send(&Frame::binary("p"))),
        ("behind a goodbye", |ws| ws.send(&Frame::close(1000, ""))),
        ("before our answer to a broken frame", |ws| {
            ws.send(&Frame::text("no"));
        }),
    ];
    for (state, act) in in_a_session {
        let mut sessions: Vec<Ws> = (0..MANY).map(|_| Ws::open(addr)).collect();
        sessions.iter_mut().for_each(act);
        sessions.iter().for_each(|ws| reset(&ws.wire));
        drop(sessions);
        siege.until(state, |now| now.descriptors == siege.quiet.descriptors);
    }
    // The target's goodbye is there, and is not answered.
    for mut ws in (0..MANY).map(|_| open(addr, "c")).collect::<Vec<Ws>>() {
        assert_eq!(ws.close(), "1000 Target closed");
        reset(&ws.wire);
    }
    siege.until("records", |_| {
        let records = siege.bridge.stderr();
        records.matches("\nsession ").count() == (in_a_session.len() + 1) * MANY
    });
    siege.ends_within("resets", TURNS);
}

fn begun(addr: SocketAddr, bytes: &[u8]) -> Wire {
    let mut wire = Wire::over(TcpStream::connect(addr).unwrap());
    wire.send(bytes);
    wire
}
