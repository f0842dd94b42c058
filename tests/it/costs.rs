//! How many system calls sessions cost, counted by strace(1) and bounded. Unlike time, they come out
//! nearly the same on a busy machine. `tests/costs` counts instructions.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::process::Process;
use crate::service::Service;
use crate::wire::{Frame, Ws};

const MIB: usize = 1 << 20;

/// MiB that are moved each way.
const BULK: usize = 64;

/// How long a session at rest is watched.
const QUIET: Duration = Duration::from_secs(2);

/// The most that each may cost.
#[derive(Debug)]
struct Bounds {
    /// A connection, its request, 5 bytes there and back, its close.
    connect: f64,
    /// 64 bytes there and back.
    echo: f64,
    /// A MiB to the client.
    down: f64,
    /// A MiB from the client, in frames of 64 KiB.
    up: f64,
}

/// Two calls of each connect are the standard library's own, in a debug build only.
#[test]
fn by_hand() {
    let bounds = Bounds {
        // 43.2 to 43.5, of which two hand the record to the thread that writes it: a file takes none.
        connect: 47.0,
        echo: 8.0,  // 7.0
        down: 20.0, // 14.4
        up: 32.0,   // 17
    };
    hold("costs::by_hand", &bounds, |target| {
        let bridge = Bridge::to(&target);
        let addr = bridge.addr();
        (bridge, addr)
    });
}

/// The state of each session is kept by a service manager.
#[test]
fn kept() {
    let bounds = Bounds {
        connect: 48.0, // 43.3 to 45.2: it is not kept before it has lived for SESSION_YOUNG
        // 7.0 where an echo follows the last within STATE_SETTLED. Where it does not, there are two
        // marks and a state more.
        echo: 12.0,
        down: 20.0, // 14.4
        up: 32.0,   // 23.7
    };
    hold("costs::kept", &bounds, |target| {
        let service = Service::start(&[&target.to_string()]);
        let addr = service.addr();
        (service, addr)
    });
}

/// Holds a bridge, started in front of one target or the other, to its bounds.
fn hold<B: AsRef<Process>>(
    test: &str,
    bounds: &Bounds,
    start: impl Fn(SocketAddr) -> (B, SocketAddr),
) {
    let mut probe = Command::new("strace");
    let traced = probe.args(["-o", "/dev/null", "true"]).status();
    if !traced.is_ok_and(|status| status.success()) {
        return machine::skip(test, "strace may not trace here");
    }
    let (bridge, addr) = start(backend::echo());
    let session = || {
        let mut client = Ws::open(addr);
        client.expect_echo("first");
        client.send(&Frame::close(1000, ""));
        assert_eq!(client.close(), "1000");
        client.wire.rest();
    };
    // What only the first one costs.
    session();
    let connect = calls(bridge.as_ref(), 50, session);
    let mut client = Ws::open(addr);
    client.expect_echo("first");
    let echo = calls(bridge.as_ref(), 200, || client.expect_echo([7; 64]));
    // The manager is told of the session within a second, memory of those before it is given back
    // after MEMORY_REST, and the thread that did that ends 10 s later.
    let quiet = (0..12).find(|_| calls(bridge.as_ref(), 1, || thread::sleep(QUIET)) == 0.0);
    assert!(quiet.is_some(), "a session at rest costs calls");

    let (bulk, addr) = start(backend::serve(talk));
    let mut client = Ws::open(addr);
    let down = calls(bulk.as_ref(), 1, || drop(client.recv_data(BULK * MIB)));
    let frame = Frame::binary(vec![7; MIB / 16]).encode();
    let up = calls(bulk.as_ref(), 1, || {
        for _ in 0..BULK * 16 {
            client.wire.send(&frame);
        }
        assert_eq!(client.recv_data(4), b"done");
    });
    let (down, up) = (down / BULK as f64, up / BULK as f64);
    let found = [connect, echo, down, up];
    let most = [bounds.connect, bounds.echo, bounds.down, bounds.up];
    eprintln!("{test}: {found:?}");
    assert!(
        found.iter().all(|found| *found > 0.0),
        "not counted: {found:?}"
    );
    let held = found.iter().zip(most).all(|(found, most)| *found <= most);
    assert!(held, "{found:?}, and at the most {bounds:?}");
}

/// Says so much, hears as much, and says that it has.
fn talk(mut stream: TcpStream) {
    let mut piece = vec![7; MIB];
    for _ in 0..BULK {
        stream.write_all(&piece).unwrap();
    }
    for _ in 0..BULK {
        stream.read_exact(&mut piece).unwrap();
    }
    stream.write_all(b"done").unwrap();
}

/// The calls that a bridge makes while `work` is done so many times, for each time.
fn calls(bridge: &Process, times: u32, mut work: impl FnMut()) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let counts = folder.path().join("counts");
    let mut strace = Command::new("strace");
    let pid = bridge.pid().as_raw_nonzero().to_string();
    strace.args(["-f", "-c", "-U", "calls,name", "-p", &pid, "-o"]);
    let strace = Process::spawn(strace.arg(&counts), None);
    strace.wait_for_line(|line| line.contains(" attached"));
    for _ in 0..times {
        work();
    }
    strace.signal(Signal::INT);
    strace.wait();
    let counts = fs::read_to_string(counts).unwrap();
    eprintln!("{times} times:\n{counts}");
    let mut lines = counts.lines().map(str::trim);
    let total = lines.find_map(|line| line.strip_suffix(" total"));
    let total: f64 = total.map_or(0.0, |total| total.trim().parse().unwrap());
    total / f64::from(times)
}
