//! Clients of every kind and their targets, at an even pace, each byte checked, while the service
//! between them is reloaded, restarted and killed: tests/systemd/scenarios/soak.sh.
//!
//!     soak PORT TARGET-PORT TARGET-SOCKET PAGE CLIENTS
//!
//! CLIENTS at a time come to the bridge at PORT, plain or inside TLS, by the token `port` or `socket`,
//! which lead here, or for PAGE, which is written at the begin. For each line on standard input it
//! prints what happened since the last one, behind that line; before it answers one that ends with
//! `rest`, all clients have left, and they come back behind the next other line.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test's peer: it is both ends, and ends at what is not as expected"
)]

#[path = "../systemd/bytes.rs"]
mod bytes;
mod counts;
mod jobs;
mod link;
mod target;
#[path = "../systemd/websocket.rs"]
mod websocket;

use std::io::{BufRead, stdin};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

use counts::COUNTS;
use jobs::{Kind, PAGE};
use link::Fault;

/// How long a client stays away, on average. With 24 clients that is forty sessions in a second, which
/// an unoptimised bridge serves with a small part of a processor.
const PAUSE_MS: u64 = 600;

/// Whether clients are to stay away, and how many are here.
static REST: Mutex<(bool, usize)> = Mutex::new((false, 0));
static CHANGED: Condvar = Condvar::new();

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [port, target_port, target_socket, page, clients] = &words[..] else {
        panic!("soak PORT TARGET-PORT TARGET-SOCKET PAGE CLIENTS");
    };
    fs::write(page, &bytes::BYTES[..PAGE]).unwrap();
    target::listen(target_port.parse().unwrap(), target_socket);
    let port = port.parse().unwrap();
    for number in 1..=clients.parse().unwrap() {
        thread::spawn(move || come_and_go(port, Random(number)));
    }
    println!("begun");
    for line in stdin().lock().lines() {
        let line = line.unwrap();
        let rest = line.ends_with("rest");
        let mut state = REST.lock().unwrap();
        state.0 = rest;
        CHANGED.notify_all();
        while rest && state.1 > 0 {
            state = CHANGED.wait(state).unwrap();
        }
        COUNTS.report(&line);
    }
}

/// One client after the other.
fn come_and_go(port: u16, mut random: Random) {
    loop {
        let mut state = REST.lock().unwrap();
        while state.0 {
            state = CHANGED.wait(state).unwrap();
        }
        state.1 += 1;
        drop(state);
        let kind = Kind::any(&mut random);
        let tls = random.below(2) == 0;
        match kind.run(port, tls, &mut random) {
            Ok(()) => COUNTS.done(kind),
            Err(fault) => COUNTS.fault(&fault, tls, kind),
        }
        REST.lock().unwrap().1 -= 1;
        CHANGED.notify_all();
        thread::sleep(Duration::from_millis(random.below(2 * PAUSE_MS)));
    }
}

fn is_resting() -> bool {
    REST.lock().unwrap().0
}

/// The same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }

    /// Small and large ones alike: as many below a thousand as above.
    fn size(&mut self, most: usize) -> usize {
        let bits = self.below(u64::from(most.ilog2()) + 1);
        usize::try_from(self.below(2 << bits))
            .unwrap()
            .clamp(1, most)
    }
}
