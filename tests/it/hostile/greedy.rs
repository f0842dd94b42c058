//! Who asks for more than it reads, or takes a byte at a time: bounded by what one read brings, and
//! by nothing of the neighbour's.

use std::fs;
use std::io::{ErrorKind, Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::cost::Cost;
use super::{Each, KIB, Siege, TURNS, open, target};
use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::wire::{Frame, PING, Wire, Ws};

const MANY: usize = 16;

/// Those whose frames have to be decoded first, by a program without optimization.
const FLOODERS: usize = 8;

/// A write that waits for so long waits for us.
const STANDSTILL: Duration = Duration::from_millis(300);

/// One read from the target, or from the client, and some.
const UNREAD: Each = Each {
    memory: 300 * KIB,
    descriptors: 2,
};

#[test]
fn who_does_not_read_holds_one_read_and_costs_no_processor() {
    let siege = Siege::of(Bridge::to(&target()));
    let come = || (0..MANY).map(|_| open(siege.addr(), "p")).collect();
    let sessions: Vec<Ws> = siege.costs("no reads", &UNREAD, come);
    drop(sessions);
    siege.ends("no reads");
}

/// Their answers wait, so they are not read.
#[test]
fn who_pings_and_does_not_read_is_not_read() {
    let siege = Siege::of(Bridge::to(&target()));
    let sessions: Vec<Ws> = siege.costs("pings unread", &UNREAD, || deaf(siege.addr()));
    drop(sessions);
    siege.ends_within("pings unread", TURNS);
}

/// Nor does a heartbeat look again and again for an answer that we do not read, nor end who may be
/// at work.
#[test]
fn a_heartbeat_leaves_them_alone() {
    let target = target().to_string();
    let bridge = Bridge::start(&["--heartbeat=1", "127.0.0.1:{port}", &target]);
    let sessions = deaf(bridge.addr());
    // Another bridge tells the time.
    let clock = Bridge::start(&["--heartbeat=1", "127.0.0.1:{port}", &target]);
    let mut clock = Ws::open(clock.addr());
    let mut beats = |count| {
        for _ in 0..count {
            assert_eq!(clock.recv().unwrap().opcode, PING);
            clock.send(&Frame::pong(""));
        }
    };
    beats(2);
    let before = Cost::of(&bridge);
    beats(2);
    let after = Cost::of(&bridge);
    assert_eq!(after.descriptors, before.descriptors);
    let used = after.processor.saturating_sub(before.processor);
    eprintln!("a heartbeat: {used:?} in two seconds for {FLOODERS}");
    assert!(used < Duration::from_millis(20), "{used:?}");
    drop(sessions);
}

/// A byte at a time, from sockets with the least room that there is.
#[test]
fn who_reads_by_bytes_gets_each_of_them() {
    let said = pattern(64 * KIB);
    let saying = said.clone();
    let target = backend::serve(move |mut stream| {
        let mut first = [0];
        match stream.peek(&mut first) {
            Ok(1) if first == *b"p" => {
                stream.read_exact(&mut first).unwrap();
                stream.write_all(&saying).unwrap();
            }
            _ => backend::echo_on(stream),
        }
    });
    let siege = Siege::of(Bridge::to(&target));
    let come = || (0..MANY).map(|_| nibbler(siege.addr())).collect();
    let sessions: Vec<Ws> = siege.costs("reads by bytes", &UNREAD, come);
    thread::scope(|scope| {
        for mut ws in sessions {
            let said = &said;
            scope.spawn(move || {
                let end = ws.end();
                assert!(end.data == *said, "{} bytes", end.data.len());
                assert_eq!(end.close, "1000 Target closed");
                ws.send(&Frame::close(1000, ""));
            });
        }
    });
    siege.ends("reads by bytes");
}

/// Requests for more than anybody reads: a few are answered, and the next are not looked at.
#[test]
fn who_asks_for_files_and_does_not_read_them_holds_one() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("large"), vec![b'x'; 4096 * KIB]).unwrap();
    let web = format!("--web={}", site.path().display());
    let target = target().to_string();
    let siege = Siege::of(Bridge::start(&[&web, "127.0.0.1:{port}", &target]));
    let many = "GET /large HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
    let come = || {
        let ask = |_| {
            let mut wire = Wire::connect(siege.addr());
            wire.send(&many);
            wire
        };
        (0..MANY).map(ask).collect()
    };
    // Its socket and the file; a piece of it in each hand that it goes through, and the requests that
    // wait.
    let most = Each {
        memory: 448 * KIB,
        descriptors: 2,
    };
    let wires: Vec<Wire> = siege.costs("files unread", &most, come);
    drop(wires);
    siege.ends("files unread");
}

/// Sessions that have sent pings until nobody took any more.
fn deaf(addr: SocketAddr) -> Vec<Ws> {
    let pings = Frame::ping([b'x'; 125]).encode().repeat(1000);
    let flood = || {
        let mut ws = Ws::upgrade(Wire::over(small(addr)));
        ws.send(&Frame::binary("s"));
        let mut stream = ws.wire.stream();
        stream.set_write_timeout(Some(STANDSTILL)).unwrap();
        let mut at = 0;
        loop {
            match stream.write(&pings[at..]) {
                Ok(size) => at = (at + size) % pings.len(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ws,
                Err(error) => panic!("{error}"),
            }
        }
    };
    thread::scope(|scope| {
        let floods: Vec<_> = (0..FLOODERS).map(|_| scope.spawn(flood)).collect();
        floods.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// A connection whose client has the least room that the kernel gives.
fn small(addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Before there is a window.
    socket.set_recv_buffer_size(1).unwrap();
    socket.connect(&addr.into()).unwrap();
    socket.into()
}

/// A session whose client reads a byte, and the next when that is passed on.
fn nibbler(addr: SocketAddr) -> Ws {
    let mut far = small(addr);
    far.set_nodelay(true).unwrap();
    // A TcpStream reads and writes any stream socket.
    let (near, mut passed) = UnixStream::pair().unwrap();
    let mut back = passed.try_clone().unwrap();
    let mut up = far.try_clone().unwrap();
    thread::spawn(move || copy(&mut back, &mut up));
    thread::spawn(move || {
        let mut byte = [0];
        while let Ok(1) = far.read(&mut byte) {
            passed.write_all(&byte).unwrap();
        }
        passed.shutdown(Shutdown::Write)
    });
    let mut ws = Ws::upgrade(Wire::over(TcpStream::from(OwnedFd::from(near))));
    ws.send(&Frame::binary("p"));
    ws
}
