//! Slow loris, at each stage of a connection: what each one holds while it lasts; and that a stage
//! that has a time ends by it, however many bytes trickle in.

use std::iter::repeat;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Each, KIB, Siege, open, target};
use crate::bridge::Bridge;
use crate::tls::{Authority, Dialer};
use crate::wire::{Frame, Wire, Ws};

/// Attackers of a kind.
const MANY: usize = 32;

/// Between two bytes of those who trickle: hundreds in the time of a stage.
const DRIP: Duration = Duration::from_millis(25);

/// A record's header, and the begin of a ClientHello that says it is 512 bytes long.
const HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// Two stages, of ten seconds each, and some room: no longer holds on who has no session, or has
/// none any more.
const PATIENCE: Duration = Duration::from_secs(24);

/// What a connection costs before it has said anything: its task, and what peeks at its first byte.
const NEW: Each = Each {
    memory: 8 * KIB,
    descriptors: 1,
};

/// hyper's first buffer has 8 KiB.
const ASKING: Each = Each {
    memory: 32 * KIB,
    descriptors: 1,
};

/// OpenSSL's state, with a buffer for one record, of 16 KiB.
const GREETING: Each = Each {
    memory: 64 * KIB,
    descriptors: 1,
};

/// Both.
const INSIDE: Each = Each {
    memory: ASKING.memory + GREETING.memory,
    descriptors: 1,
};

/// Two sockets, and no buffer.
const SESSION: Each = Each {
    memory: 16 * KIB,
    descriptors: 2,
};

/// The same with what its client does not read: one read from the target.
const UNREAD: Each = Each {
    memory: 300 * KIB,
    descriptors: 2,
};

#[test]
fn what_has_a_time_ends_by_it_however_many_bytes_trickle_in() {
    let ca = Authority::new();
    let (pair, target) = (ca.here(), target().to_string());
    let bridge = Bridge::start(&[&pair.options()[..], &["127.0.0.1:{port}", &target]].concat());
    let siege = Siege::of(bridge);
    let addr = siege.addr();
    let begin = |first: &'static [u8]| move || many(|| begun(addr, first));

    let inside = || many(|| Dialer::new(&ca).dial(addr).unwrap().wire);
    // Each group has its time from its own arrival: the next may come late on a busy machine.
    let mut waiting = vec![
        Waiting::from(|| siege.costs("no first byte", &NEW, begin(b""))),
        Waiting::from(|| siege.costs("half a ClientHello", &GREETING, begin(HELLO))),
        Waiting::from(|| siege.costs("half a request", &ASKING, begin(b"GET / HTTP/1.1\r\nX:"))),
        Waiting::from(|| siege.costs("no request inside TLS", &INSIDE, inside)),
    ];

    let trickling = [
        (&GREETING, "a ClientHello by bytes", HELLO),
        (&ASKING, "a request by bytes", b"GET / HTTP/1.1\r\nX: "),
        // What follows a broken frame is read for nobody, and not for long.
        (&SESSION, "after a broken frame", b""),
    ];
    let trickling = trickling.map(|(most, what, bytes)| {
        let come = || match bytes {
            [] => many(|| broken(addr)),
            bytes => many(|| begun(addr, &bytes[..1])),
        };
        let group = Waiting::from(|| siege.costs(what, most, come));
        let trickle = Trickle::into(&group.wires, bytes.get(1..).unwrap_or_default());
        waiting.push(group);
        trickle
    });
    // Who takes nothing hears no goodbye, nor does who does not answer one.
    let unread = || many(|| goodbye(addr));
    waiting.push(Waiting::from(|| {
        siege.costs("no read after a goodbye", &UNREAD, unread)
    }));
    let ending: Vec<_> = waiting.into_iter().map(Waiting::end).collect();
    for took in ending.into_iter().map(|thread| thread.join().unwrap()) {
        assert!(took < PATIENCE, "{took:?}");
    }
    for trickle in trickling {
        let drops = trickle.end();
        assert!(drops > 50, "{drops} bytes, which is no trickle");
    }
    siege.ends("slow");
}

#[test]
fn a_session_may_be_as_slow_as_it_likes_and_costs_no_more_for_that() {
    let siege = Siege::of(Bridge::to(&target()));
    let mut sessions = siege.costs("a session", &SESSION, || many(|| open(siege.addr(), "")));
    // A header of each length, each payload in bytes as well, and pings, whose payload is kept.
    let said: Vec<u8> = (0..=200).collect();
    let frames = [
        Frame::binary(&said[..125]),
        Frame::ping("ping"),
        Frame::binary(&said[125..]).unfinished(),
        Frame::continuation(&said[..10]),
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    let before = super::Cost::of(&siege.bridge);
    for byte in bytes {
        for session in &mut sessions {
            session.wire.send([byte]);
        }
    }
    for session in &mut sessions {
        let mut heard = Vec::new();
        while heard.len() < said.len() + 10 {
            let frame = session.recv().unwrap();
            match frame.opcode {
                0xa => assert_eq!(frame.payload, b"ping"),
                _ => heard.extend(frame.payload),
            }
        }
        assert!(heard == [&said[..], &said[..10]].concat());
    }
    siege.settle("slow frames");
    let grown = super::Cost::of(&siege.bridge)
        .memory
        .saturating_sub(before.memory);
    assert!(grown < super::ONCE, "{grown} bytes more");
    drop(sessions);
    siege.ends("slow frames");
}

/// Attackers of a kind, who wait to be shown the door.
struct Waiting {
    began: Instant,
    wires: Vec<Wire>,
}

impl Waiting {
    fn from(come: impl FnOnce() -> Vec<Wire>) -> Self {
        Self {
            began: Instant::now(),
            wires: come(),
        }
    }

    /// How long the last of them stayed.
    fn end(mut self) -> JoinHandle<Duration> {
        thread::spawn(move || {
            for wire in &mut self.wires {
                wire.rest();
            }
            self.began.elapsed()
        })
    }
}

fn many<A>(come: impl Fn() -> A) -> Vec<A> {
    (0..MANY).map(|_| come()).collect()
}

fn begun(addr: SocketAddr, first: &[u8]) -> Wire {
    let mut wire = Wire::connect(addr);
    wire.send(first);
    wire
}

/// A session that is over for a text frame, which its client does not mind.
fn broken(addr: SocketAddr) -> Wire {
    let mut ws = open(addr, "s");
    ws.send(&Frame::text("no"));
    assert_eq!(
        ws.close(),
        "1003 Unsupported: Text frames are not supported"
    );
    ws.wire
}

/// A session that says goodbye to a target that pushes, and reads nothing of that.
fn goodbye(addr: SocketAddr) -> Wire {
    let mut ws: Ws = open(addr, "p");
    ws.send(&Frame::close(1000, ""));
    ws.wire
}

/// A byte for each of some connections, again and again.
struct Trickle {
    thread: JoinHandle<usize>,
    _stop: mpsc::Sender<()>,
}

impl Trickle {
    fn into(wires: &[Wire], rest: &'static [u8]) -> Self {
        let streams = wires.iter().map(|wire| wire.stream().try_clone().unwrap());
        let streams: Vec<TcpStream> = streams.collect();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let bytes = rest.iter().chain(repeat(&b'x'));
            // To the end of the last of them.
            let drop_in = |byte: u8| {
                let took =
                    |mut stream: &TcpStream| std::io::Write::write(&mut stream, &[byte]).is_ok();
                streams.iter().filter(|stream| took(stream)).count() > 0
            };
            let again = || stopped.recv_timeout(DRIP) == Err(RecvTimeoutError::Timeout);
            bytes.take_while(|byte| drop_in(**byte) && again()).count()
        });
        Self {
            thread,
            _stop: stop,
        }
    }

    /// How many bytes each was sent before all were closed.
    fn end(self) -> usize {
        self.thread.join().unwrap()
    }
}
