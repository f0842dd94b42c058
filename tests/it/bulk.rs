//! A target that sends much, and now and then little, to a client that reads slowly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::thread;

use socket2::SockRef;

use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::wire::{BINARY, Frame, PONG, Ws};

const MIB: usize = 1 << 20;

/// Sends all of it, in pieces of a byte, of a screen and of all that the sockets hold; ends when the
/// client does.
fn say(mut stream: TcpStream, data: &[u8]) {
    let mut rest = data;
    for size in [1, 3 * MIB, 100, 70_000, 5 * MIB, 17].into_iter().cycle() {
        let (piece, others) = rest.split_at(size.min(rest.len()));
        if piece.is_empty() {
            break;
        }
        stream.write_all(piece).unwrap();
        rest = others;
    }
    let _ = stream.read(&mut [0]);
}

/// Reads slowly and asks meanwhile: each ping is answered between two frames, and no byte is lost.
fn hold(addr: SocketAddr, data: &[u8]) {
    let mut client = Ws::open(addr);
    let (mut seen, mut pings, mut pongs) = (0, 0, 0);
    while seen < data.len() || pongs < pings {
        let frame = client.recv().expect("more of it");
        match frame.opcode {
            PONG => {
                assert_eq!(frame.payload, b"still there?");
                pongs += 1;
            }
            opcode => {
                assert_eq!((opcode, frame.fin), (BINARY, true));
                let wanted = &data[seen..seen + frame.payload.len()];
                assert!(frame.payload == wanted, "a wrong byte behind {seen}");
                seen += frame.payload.len();
            }
        }
        if seen / (4 * MIB) > pings {
            pings += 1;
            client.send(&Frame::ping("still there?"));
        }
    }
    assert_eq!(pings, 8);
}

#[test]
fn a_slow_client_gets_whole_frames() {
    let data = pattern(32 * MIB);
    let said = data.clone();
    let target = backend::serve(move |stream| say(stream, &said));
    hold(Bridge::to(&target).addr(), &data);
}

/// telnetd says so when it throws away what it had to say: RFC 854, the Synch signal. A read leaves the byte
/// out, as it always has, and goes on behind it.
#[test]
fn urgent_data_in_the_midst_of_it_stops_nothing() {
    let data = pattern(4 * MIB);
    let said = data.clone();
    let target = backend::serve(move |mut stream| {
        let (before, behind) = said.split_at(3 * MIB);
        stream.write_all(before).unwrap();
        SockRef::from(&stream).send_out_of_band(b"!").unwrap();
        stream.write_all(behind).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let bridge = Bridge::to(&target);
    let mut client = Ws::open(bridge.addr());
    assert!(client.recv_data(data.len()) == data);
}

#[test]
fn a_unix_target_sends_as_much() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target");
    let listener = UnixListener::bind(&path).unwrap();
    let data = pattern(32 * MIB);
    let said = data.clone();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        say(TcpStream::from(OwnedFd::from(stream)), &said);
    });
    let target = format!("--unix-target={}", path.display());
    hold(Bridge::start(&[&target, "127.0.0.1:{port}"]).addr(), &data);
}
