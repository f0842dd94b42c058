//! Slow, greedy and broken peers: what each costs the bridge, that it gets all of it back, and that
//! a neighbour who behaves notices nothing. `--nocapture` shows what was measured.

mod cost; // what a process holds and has used
mod floods; // work without end
mod greedy; // who asks and does not read
mod half_open; // a link that was cut
mod heads; // requests of every bad shape
mod neighbour; // who behaves
mod resets; // gone at the worst moment
mod slow; // a byte now and then
mod tls; // inside TLS, and at its door

use std::io::{Read, Write, copy, sink};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::backend;
use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};
use cost::Cost;
use neighbour::{Neighbour, p99};

const KIB: usize = 1 << 10;

/// Memory that an attack may take whatever its size: buffers and arenas of threads that had nothing
/// to do before.
const ONCE: usize = 1024 * KIB;

/// What nobody notices: a keystroke and its echo take longer on most links. A program without
/// optimization, on a machine that has other tests to run, needs some of that itself.
const UNNOTICED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 100 } else { 50 });

/// The same where several attackers' turns may come before it, each of the most work that a read can
/// bring: milliseconds of a release, and without optimization a hundred times as long.
const TURNS: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });

/// A bridge under attack, beside which a neighbour is served, and another one that nobody attacks:
/// it tells what the machine had to do meanwhile.
struct Siege {
    bridge: Bridge,
    quiet: Cost,
    neighbour: Neighbour,
    /// What a round trip of the neighbour needs of a processor, and how long it takes.
    needed: Duration,
    calm: Duration,
    elsewhere: Neighbour,
    _unharmed: Bridge,
}

/// What one of many attackers may cost.
struct Each {
    memory: usize,
    descriptors: usize,
}

impl Siege {
    /// Of a bridge to [`target`].
    fn of(bridge: Bridge) -> Self {
        let ws = Ws::open(bridge.addr());
        Self::beside(bridge, ws)
    }

    /// With a neighbour that is there already.
    fn beside(bridge: Bridge, neighbour: Ws) -> Self {
        let unharmed = Bridge::to(&target());
        let elsewhere = Neighbour::new(Ws::open(unharmed.addr()));
        let neighbour = Neighbour::new(neighbour);
        let needed = per_trip(&bridge, &neighbour, neighbour::ENOUGH);
        let calm = p99(neighbour.take());
        elsewhere.take();
        Self {
            needed,
            quiet: Cost::of(&bridge),
            bridge,
            neighbour,
            calm,
            elsewhere,
            _unharmed: unharmed,
        }
    }

    fn addr(&self) -> SocketAddr {
        self.bridge.addr()
    }

    /// Has `come` let attackers in, and says that each costs no more than `most`, and no processor once
    /// it has done what it came for; returns them.
    fn costs<A>(&self, what: &str, most: &Each, come: impl FnOnce() -> Vec<A>) -> Vec<A> {
        let before = Cost::of(&self.bridge);
        let attackers = come();
        let count = attackers.len();
        let descriptors = before.descriptors + count * most.descriptors;
        self.until(what, |now| now.descriptors == descriptors);
        self.settle(what);
        let memory = Cost::of(&self.bridge).memory.saturating_sub(before.memory);
        eprintln!("{what}: {} bytes each", memory / count);
        assert!(
            memory <= ONCE + count * most.memory,
            "{what}: {memory} bytes for {count}"
        );
        attackers
    }

    /// Returns when the bridge has no more to do than without attackers, which is for the neighbour.
    fn settle(&self, what: &str) {
        self.until(what, |_| {
            let used = per_trip(&self.bridge, &self.neighbour, 20);
            used < 3 * self.needed + Duration::from_micros(100)
        });
    }

    /// Returns when `enough` is so; looks each time that the neighbour was served.
    fn until(&self, what: &str, mut enough: impl FnMut(&Cost) -> bool) {
        let began = Instant::now();
        loop {
            let now = Cost::of(&self.bridge);
            if enough(&now) {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "{what}: still {now:?}");
            self.neighbour.wait_for(1);
        }
    }

    /// The attackers have left, or were shown the door: all is given back, and nobody noticed.
    fn ends(self, what: &str) {
        self.ends_within(what, UNNOTICED);
    }

    /// The same, where the neighbour may wait a little.
    fn ends_within(self, what: &str, little: Duration) {
        self.until(what, |now| now.descriptors == self.quiet.descriptors);
        let (served, elsewhere) = (p99(self.neighbour.take()), p99(self.elsewhere.take()));
        eprintln!(
            "{what}: p99 {served:?}, before {:?}, elsewhere {elsewhere:?}",
            self.calm
        );
        let most = little.max(20 * self.calm).max(4 * elsewhere);
        assert!(served <= most, "{what}: p99 {served:?} > {most:?}");
        self.neighbour.leave();
        self.elsewhere.leave();
        let said = self.bridge.stderr();
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// What the bridge needs of a processor for each of so many round trips of its neighbour.
fn per_trip(bridge: &Bridge, neighbour: &Neighbour, trips: u32) -> Duration {
    let before = Cost::of(bridge).processor;
    neighbour.wait_for(trips);
    Cost::of(bridge).processor.saturating_sub(before) / trips
}

/// A target that does as the first byte of a session says: `p` pushes without end, `s` swallows,
/// `c` closes, and anything else is said back.
fn target() -> SocketAddr {
    backend::serve(|mut stream| {
        stream.set_read_timeout(None).unwrap();
        let mut first = [0];
        match stream.peek(&mut first) {
            Ok(1) if first == *b"p" => while stream.write_all(&[7; 64 * KIB]).is_ok() {},
            Ok(1) if first == *b"s" => drop(copy(&mut stream, &mut sink())),
            Ok(1) if first == *b"c" => drop(stream.read(&mut first)),
            _ => backend::echo_on(stream),
        }
    })
}

/// A session whose target was told what to do.
fn open(addr: SocketAddr, job: &str) -> Ws {
    let mut ws = Ws::open(addr);
    ws.send(&Frame::binary(job));
    ws
}
