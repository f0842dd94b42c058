//! At the door of TLS and inside it: what only begins, what is broken, and what is sent too early.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslStream};
use openssl::symm::{Cipher, encrypt_aead};

use super::{Each, KIB, Siege, target};
use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::tls::{Authority, s_client, text};
use crate::wire::{Frame, UPGRADE, Wire};

const MANY: usize = 16;

/// Changes of keys that a flooder has prepared: a tenth of a second of a processor.
const CHANGES: usize = 10_000;

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
    upgraded(
        addr,
        SslContextBuilder::new(SslMethod::tls_client()).unwrap(),
    )
}

fn upgraded(addr: SocketAddr, context: SslContextBuilder) -> SslStream<TcpStream> {
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

/// Each change of a client's keys is a record without payload, and costs us the derivation of new ones:
/// a client that has prepared many has its turn like everybody's, and goes on with the last of them.
#[test]
fn changes_of_keys_without_end_leave_others_their_turns() {
    let ca = Authority::new();
    let siege = siege(&ca);
    let flooders: Vec<_> = (0..3).map(|_| Rekeying::begin(siege.addr())).collect();
    thread::scope(|scope| {
        for mut flooder in flooders {
            scope.spawn(move || {
                flooder.socket.write_all(&flooder.changes).unwrap();
                flooder.socket.write_all(&flooder.last).unwrap();
                // Its echo, encrypted: a record of 3 bytes of frame, its type and its tag.
                let mut echo = [0; 5 + 3 + 1 + 16];
                flooder.socket.read_exact(&mut echo).unwrap();
                assert_eq!(echo[..5], [23, 3, 3, 0, 20]);
            });
        }
    });
    siege.ends("changes of keys");
}

/// A session inside TLS 1.3 whose client has done its own encryption since it began.
struct Rekeying {
    socket: TcpStream,
    changes: Vec<u8>,
    last: Vec<u8>,
}

impl Rekeying {
    fn begin(addr: SocketAddr) -> Self {
        let secret = Arc::new(OnceLock::new());
        let told = Arc::clone(&secret);
        let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
        context.set_ciphersuites("TLS_AES_128_GCM_SHA256").unwrap();
        context.set_keylog_callback(move |_, line| {
            if let Some(words) = line.strip_prefix("CLIENT_TRAFFIC_SECRET_0 ") {
                let hex = words.split(' ').nth(1).unwrap();
                let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                told.set((0..hex.len()).step_by(2).map(byte).collect())
                    .unwrap();
            }
        });
        let session = upgraded(addr, context);
        let mut keys = Keys {
            secret: secret.get().cloned().unwrap(),
            // The request and a frame.
            sent: 2,
        };
        let changes = (0..CHANGES).flat_map(|_| keys.change()).collect();
        let last = keys.record(23, &Frame::binary("e").encode());
        Self {
            socket: session.get_ref().try_clone().unwrap(),
            changes,
            last,
        }
    }
}

/// A direction's keys (RFC 8446, 7.1 to 7.3).
struct Keys {
    secret: Vec<u8>,
    sent: u64,
}

impl Keys {
    /// A KeyUpdate that asks for none in return, and what follows from it.
    fn change(&mut self) -> Vec<u8> {
        let record = self.record(22, &[24, 0, 0, 1, 0]);
        self.secret = self.expand("traffic upd", 32);
        self.sent = 0;
        record
    }

    fn record(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let (key, mut nonce) = (self.expand("key", 16), self.expand("iv", 12));
        for (byte, sent) in nonce[4..].iter_mut().zip(self.sent.to_be_bytes()) {
            *byte ^= sent;
        }
        self.sent += 1;
        let length = u8::try_from(payload.len() + 1 + 16).unwrap();
        let header = [23, 3, 3, 0, length];
        let (plain, mut tag) = ([payload, &[kind]].concat(), [0; 16]);
        let cipher = Cipher::aes_128_gcm();
        let body = encrypt_aead(cipher, &key, Some(&nonce), &header, &plain, &mut tag).unwrap();
        [&header[..], &body, &tag].concat()
    }

    /// HKDF-Expand-Label, of one block at the most.
    fn expand(&self, label: &str, length: u8) -> Vec<u8> {
        let label = format!("tls13 {label}");
        let named = u8::try_from(label.len()).unwrap();
        let info = [&[0, length, named], label.as_bytes(), &[0, 1]].concat();
        let key = PKey::hmac(&self.secret).unwrap();
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        let mut block = signer.sign_oneshot_to_vec(&info).unwrap();
        block.truncate(usize::from(length));
        block
    }
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
