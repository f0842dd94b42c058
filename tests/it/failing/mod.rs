//! A machine that lacks something, and services that hang: whoever is not concerned loses nothing,
//! the server does not stop, and the log says it once.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::process::DEADLINE;
use crate::wire::{BINARY, Frame, PING, Wire, Ws};

mod clock; // the time is set, and the program or its target stands still
mod descriptors; // none is left
mod faults; // system calls that fail, by strace
mod logged; // nobody reads the log, or its disk is full
mod manager; // systemd is busy
mod names; // a resolver that is slow, wrong or gone
mod network; // packets are lost
mod sources; // of tokens, that hang
mod stuck; // targets that hang

/// A session beside what fails. All the while it says something, never the same twice, and holds
/// each byte that comes back against it.
struct Neighbour {
    rounds: Arc<AtomicU64>,
    /// The longest that an answer took, in milliseconds.
    slowest: Arc<AtomicU64>,
    over: Sender<()>,
    talk: JoinHandle<()>,
}

impl Neighbour {
    /// Through a bridge to an echo.
    fn beside(addr: SocketAddr) -> Self {
        Self::talking(Ws::open(addr))
    }

    fn at(addr: SocketAddr, head: &str) -> Self {
        Self::talking(Ws::upgrade_with(Wire::connect(addr), head))
    }

    fn talking(mut session: Ws) -> Self {
        let (rounds, slowest) = (Arc::default(), Arc::default());
        let (over, ended) = channel();
        let (count, longest): (Arc<AtomicU64>, Arc<AtomicU64>) =
            (Arc::clone(&rounds), Arc::clone(&slowest));
        let talk = thread::spawn(move || {
            // A message in each few milliseconds: it is a neighbour, and no load.
            let pause = Duration::from_millis(3);
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let round = count.load(Ordering::Relaxed);
                let began = Instant::now();
                comes_back(&mut session, &message(round));
                let took = u64::try_from(began.elapsed().as_millis()).unwrap();
                longest.fetch_max(took, Ordering::Relaxed);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            rounds,
            slowest,
            over,
            talk,
        }
    }

    /// Returns when so many more messages have come back.
    fn goes_on_for(&self, rounds: u64) {
        let began = Instant::now();
        let wanted = self.rounds.load(Ordering::Relaxed) + rounds;
        while self.rounds.load(Ordering::Relaxed) < wanted {
            assert!(!self.talk.is_finished(), "a session beside it broke");
            assert!(
                began.elapsed() < DEADLINE,
                "a session beside it stands still"
            );
            thread::yield_now();
        }
    }

    /// Returns when it goes on.
    fn goes_on(&self) {
        // The first may have come back before what has happened since.
        self.goes_on_for(3);
    }

    /// Ends it: all that it said has come back, and each answer within `most`.
    fn ends(self, most: Duration) {
        self.goes_on();
        drop(self.over);
        self.talk
            .join()
            .expect("a session beside it lost something");
        let slowest = Duration::from_millis(self.slowest.load(Ordering::Relaxed));
        assert!(slowest < most, "an answer took {slowest:?}");
    }
}

/// Says something and hears it back, with pings in between.
fn comes_back(session: &mut Ws, said: &[u8]) {
    session.send(&Frame::binary(said));
    let mut heard = Vec::new();
    while heard.len() < said.len() {
        let frame = session.recv().expect("more of what was said");
        match frame.opcode {
            PING => session.send(&Frame::pong(frame.payload)),
            BINARY => heard.extend(frame.payload),
            _ => panic!("{frame:?} in the middle"),
        }
    }
    assert!(heard == said, "it was not what was said");
}

/// How long a machine that is busy may take for an answer, where nothing is to hold it up.
const PROMPT: Duration = Duration::from_secs(3);

/// A few thousand bytes that are no other round's.
fn message(round: u64) -> Vec<u8> {
    let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let size = 1 + usize::try_from(round.wrapping_mul(977) % 5000).unwrap();
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[5]
    };
    (0..size).map(next).collect()
}

/// Lets a process open `more` descriptors beside those that it has, and no further.
fn leave(pid: Pid, more: usize) {
    let open = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())).unwrap();
    let open: Vec<u64> = open
        .map(|it| it.unwrap().file_name().to_string_lossy().parse().unwrap())
        .collect();
    // The limit is on numbers, of which the lowest is taken first (getrlimit(2)).
    let limit = (0..).filter(|number| !open.contains(number)).nth(more);
    let maximum = getrlimit(Resource::Nofile).maximum;
    limited(pid, limit, maximum);
}

/// Lets it open none, whatever it closes.
fn leave_none(pid: Pid) {
    limited(pid, Some(0), getrlimit(Resource::Nofile).maximum);
}

/// Lets it open as many as ever.
fn leave_all(pid: Pid) {
    let limit = getrlimit(Resource::Nofile);
    limited(pid, limit.maximum, limit.maximum);
}

fn limited(pid: Pid, current: Option<u64>, maximum: Option<u64>) {
    let limit = Rlimit { current, maximum };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();
}

/// Lines on standard error that hold `what`.
fn told(stderr: &str, what: &str) -> usize {
    stderr.lines().filter(|line| line.contains(what)).count()
}
