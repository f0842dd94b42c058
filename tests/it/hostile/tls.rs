//! At the door of TLS and inside it: what only begins, what is broken, and what is sent too early.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslStream};

use super::{Each, KIB, Siege, target};
use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::tls::{Authority, s_client, text};
use crate::wire::{Frame, UPGRADE, Wire};

const MANY: usize = 16;

fn siege(ca: &Authority) -> Siege {
    let (pair, target) = (ca.here(), target().to_string());
    Siege::of(Bridge::start(
        &[&pair.options()[..], &["127.0.0.1:{port}", &target]].concat(),
    ))
}

/// OpenSSL keeps the whole of it until it has come, and takes none of more than 131396 bytes.
#[test]
fn a_huge_client_hello_is_bounded() {
    const MOST: u32 = 131_396;
    let ca = Authority::new();
    let siege = siege(&ca);
    let say = |length: u32, said: usize| {
        let message = [&(1 << 24 | length).to_be_bytes()[..], &vec![0; said]].concat();
        let mut wire = Wire::connect(siege.addr());
        for record in message.chunks(1 << 14) {
            let length = u16::try_from(record.len()).unwrap().to_be_bytes();
            wire.send([&[0x16, 3, 1], &length[..], record].concat());
        }
        wire
    };
    let most = Each {
        memory: 256 * KIB,
        descriptors: 1,
    };
    let come = || (0..MANY).map(|_| say(MOST, 131_000)).collect();
    let hellos: Vec<Wire> = siege.costs("a huge ClientHello", &most, come);
    // More than that, and all that can be announced: an alert at once.
    for length in [MOST + 1, 0xff_ffff] {
        let alert = say(length, 100).take(1);
        assert_eq!(alert, Some(vec![0x15]), "{length}");
    }
    drop(hellos);
    siege.ends("huge ClientHellos");
}

#[test]
fn broken_records_end_their_session_and_no_other() {
    let ca = Authority::new();
    let siege = siege(&ca);
    let records: [&[u8]; 8] = [
        // Data that nobody encrypted, as if it had been.
        &[23, 3, 3, 0, 32, 1, 2, 3],
        &[23, 3, 3, 0, 0],
        &[23, 3, 3, 0xff, 0xff],
        &[23, 9, 9, 0, 32],
        &[99, 3, 3, 0, 1, 0],
        // A goodbye, a change of ciphers and a handshake in the clear.
        &[21, 3, 3, 0, 2, 1, 0],
        &[20, 3, 3, 0, 1, 1],
        &[22, 3, 3, 0, 4, 1, 0, 0, 0],
    ];
    for record in records {
        let mut session = inside(siege.addr());
        session.get_ref().write_all(record).unwrap();
        session.get_ref().write_all(&[0x55; 64]).unwrap();
        let mut rest = Vec::new();
        let _ = session.read_to_end(&mut rest);
        // Nothing of it was taken for a frame, so nothing came back.
        assert!(!rest.contains(&0x55), "{record:?}: {rest:?}");
    }
    siege.until("records", |_| {
        siege.bridge.stderr().matches(" code=1006 ").count() == records.len()
    });
    siege.ends("broken records");
}

/// A session inside TLS, of a client that believes anybody.
fn inside(addr: SocketAddr) -> SslStream<TcpStream> {
    let context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
    let tcp = TcpStream::connect(addr).unwrap();
    tcp.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), tcp).unwrap();
    stream.connect().unwrap();
    stream
        .write_all(format!("{UPGRADE}\r\n").as_bytes())
        .unwrap();
    stream.write_all(&Frame::binary("e").encode()).unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\x82\x01e") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        heard.extend(byte);
    }
    stream
}

/// Whoever records it could send it again (RFC 8446, 8): it is not taken, neither with a ticket of
/// ours, which does not allow it, nor with another server's, which does.
#[test]
fn early_data_is_not_read() {
    let ca = Authority::new();
    let siege = siege(&ca);
    let (ticket, early) = (ca.path("ticket"), ca.path("early"));
    fs::write(&early, "GET /early HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let said = s_client(siege.addr(), &["-sess_out", text(&ticket)]);
    assert!(said.contains("Max Early Data: 0"), "{said}");
    let with = ["-sess_in", text(&ticket), "-early_data", text(&early)];
    let said = s_client(siege.addr(), &with);
    assert!(said.contains("Early data was not sent"), "{said}");
    let other = other_server(&ca, &ticket);
    assert!(other.contains("Max Early Data: 16384"), "{other}");
    let said = s_client(siege.addr(), &with);
    assert!(said.contains("Early data was rejected"), "{said}");
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    siege.ends("early data");
}

/// A ticket of a server that takes early data, and what was said of it.
fn other_server(ca: &Authority, ticket: &Path) -> String {
    let pair = ca.here();
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-max_early_data",
            "16384",
            "-www",
            "-accept",
            "127.0.0.1:0",
        ])
        .args(["-cert", text(&pair.certificate), "-key", text(&pair.key)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let addr = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ")?.parse().ok());
    let said = s_client(addr.unwrap(), &["-sess_out", text(ticket)]);
    server.kill().unwrap();
    server.wait().unwrap();
    said
}
