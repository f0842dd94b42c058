//! A resolver that is slow, wrong or gone. Everything is in a network of the test's own, where the
//! resolver is the test, too.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Neighbour, PROMPT, told};
use crate::backend;
use crate::bridge::Bridge;
use crate::machine::again;
use crate::tokens::{self, head};
use crate::wire::{Wire, Ws};

/// What has the resolver below asked, whatever the file's name is a link to.
const RESOLVED_HERE: &str = "file=$(mktemp); echo nameserver 127.0.0.1 >$file; \
                             mount --bind $file /etc/resolv.conf; rm $file";
const FAILED: &str = "1011 Failed to connect to downstream server";

/// A name server for queries of one name, whose first part says what becomes of them.
struct Resolver {
    socket: UdpSocket,
    /// What is to be answered late; none from when it has been.
    held: Mutex<Option<Vec<Query>>>,
}

/// A query and who asks.
type Query = (Vec<u8>, SocketAddr);

impl Resolver {
    fn start() -> Arc<Self> {
        let resolver = Arc::new(Self {
            socket: UdpSocket::bind("127.0.0.1:53").unwrap(),
            held: Mutex::new(Some(Vec::new())),
        });
        let serve = resolver.clone();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((size, from)) = serve.socket.recv_from(&mut buffer) {
                serve.take(buffer[..size].to_vec(), from);
            }
        });
        resolver
    }

    fn take(&self, query: Vec<u8>, from: SocketAddr) {
        let first = &query[13..13 + usize::from(query[12])];
        match first {
            b"never" => {}
            b"servfail" => self.answer(&query, from, 2, None),
            b"nxdomain" => self.answer(&query, from, 3, None),
            b"wrong" => self.answer(&query, from, 0, Some([127, 0, 0, 99])),
            b"late" => {
                let mut held = self.held.lock().unwrap();
                match &mut *held {
                    Some(held) => held.push((query, from)),
                    None => self.answer(&query, from, 0, Some([127, 0, 0, 1])),
                }
            }
            _ => self.answer(&query, from, 0, Some([127, 0, 0, 1])),
        }
    }

    /// Answers what is late, and from now on at once.
    fn release(&self) {
        for (query, from) in self.held.lock().unwrap().take().unwrap() {
            self.answer(&query, from, 0, Some([127, 0, 0, 1]));
        }
    }

    /// An answer of RFC 1035, 4.1, with the address where it was IPv4's that was asked for.
    fn answer(&self, query: &[u8], to: SocketAddr, code: u8, address: Option<[u8; 4]>) {
        let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
        let end = 12 + name + 5;
        let address = address.filter(|_| query[end - 3] == 1);
        let head = [&query[..2], &[0x81, 0x80 | code, 0, 1, 0]].concat();
        let head = [&head[..], &[u8::from(address.is_some()), 0, 0, 0, 0]].concat();
        let record = address.map(|address| {
            let fixed = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4];
            [&fixed[..], &address].concat()
        });
        let answer = [&head, &query[12..end], &record.unwrap_or_default()].concat();
        let _ = self.socket.send_to(&answer, to);
    }
}

#[test]
fn nobody_waits_for_anothers_name() {
    let test = "failing::names::nobody_waits_for_anothers_name";
    if !again(test, RESOLVED_HERE) {
        return;
    }
    let resolver = Resolver::start();
    let port = backend::echo().port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let names = ["servfail", "nxdomain", "wrong", "late", "good"];
    let lines = names.map(|name| format!("{name}: {name}.example:{port}\n"));
    // Many desktops of one machine that nobody can find.
    let never = (1..=40).map(|desk| format!("never{desk}: never.example:59{desk:02}\n"));
    let lines = lines.into_iter().chain(never).collect::<String>();
    fs::write(&file, lines + &format!("here: 127.0.0.1:{port}\n")).unwrap();
    let bridge = tokens::bridge("TokenFile", &file, &[]);
    let neighbour = Neighbour::at(bridge.addr(), &head("/?token=here"));
    let open = |name: &str| {
        let wire = Wire::connect(bridge.addr());
        Ws::upgrade_with(wire, &head(&format!("/?token={name}")))
    };
    let tasks = format!("/proc/{}/task", bridge.pid().as_raw_pid());
    let threads = || fs::read_dir(&tasks).unwrap().count();
    let quiet = threads();
    // More than may be looked up at once.
    let began = Instant::now();
    let mut never: Vec<Ws> = (1..=40).map(|desk| open(&format!("never{desk}"))).collect();
    let mut late = open("late");
    open("good").expect_echo("while others wait");
    open("here").expect_echo("without a name");
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    for (name, why) in [
        ("servfail", "failed to lookup address information"),
        ("nxdomain", "failed to lookup address information"),
        ("wrong", "refused"),
    ] {
        assert_eq!(open(name).close(), FAILED, "{name}");
        let said = format!("cannot connect to {name}.example:{port} ");
        bridge.wait_for_line(|line| line.starts_with(&said) && line.contains(why));
    }
    let most = quiet + 10;
    let now = threads();
    assert!(now < most, "{now} threads, and {quiet} before");
    resolver.release();
    late.expect_echo("better late");
    for session in &mut never {
        assert_eq!(session.close(), FAILED);
    }
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    bridge.wait_until("record for each", |seen| {
        let said = "cannot connect to never.example:";
        (told(&seen.stderr, said) == never.len()).then_some(())
    });
    neighbour.ends(PROMPT);
}

#[test]
fn a_resolver_that_comes_back_is_asked_again() {
    let test = "failing::names::a_resolver_that_comes_back_is_asked_again";
    if !again(test, RESOLVED_HERE) {
        return;
    }
    let target = format!("good.example:{}", backend::echo().port());
    let bridge = Bridge::to(&target);
    assert_eq!(Ws::open(bridge.addr()).close(), FAILED);
    let _resolver = Resolver::start();
    Ws::open(bridge.addr()).expect_echo("after");
}
