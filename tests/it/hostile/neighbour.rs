//! A client that behaves: 64 bytes and their echo, again and again.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::process::DEADLINE;
use crate::wire::{BINARY, Frame, PING, Ws};

/// Round trips of which one in a hundred says something.
pub(super) const ENOUGH: u32 = 100;

/// Between two of them: faster than anybody types or moves a mouse.
const PACE: Duration = Duration::from_millis(3);

/// In a thread of its own. It panics, and with it whoever waits for it, where a byte is lost or wrong.
pub(super) struct Neighbour {
    trips: Arc<Trips>,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Trips {
    /// How long each took since somebody asked, and how many there were.
    took: Mutex<(Vec<Duration>, u32)>,
    another: Condvar,
}

impl Neighbour {
    pub(super) fn new(mut ws: Ws) -> Self {
        let trips = Arc::new(Trips::default());
        let (stop, stopped) = mpsc::channel();
        let shared = Arc::clone(&trips);
        let thread = thread::spawn(move || {
            for number in 0.. {
                let began = Instant::now();
                round_trip(&mut ws, format!("echo {number:059}").as_bytes());
                shared.add(began.elapsed());
                if stopped.recv_timeout(PACE) != Err(mpsc::RecvTimeoutError::Timeout) {
                    break;
                }
            }
            ws.send(&Frame::close(1000, "bye"));
            assert_eq!(ws.close(), "1000 bye");
        });
        Self {
            trips,
            stop,
            thread,
        }
    }

    /// Returns when it was served `count` more times.
    pub(super) fn wait_for(&self, count: u32) {
        let took = self.trips.took.lock().unwrap();
        let enough = took.1 + count;
        let waiting = self.trips.another.wait_timeout_while(took, DEADLINE, |it| {
            it.1 < enough && !self.thread.is_finished()
        });
        assert!(
            waiting.unwrap().0.1 >= enough,
            "the neighbour is not served"
        );
    }

    /// How long its round trips took since this was asked last.
    pub(super) fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.trips.took.lock().unwrap().0)
    }

    /// Says goodbye, and is answered.
    pub(super) fn leave(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

impl Trips {
    fn add(&self, took: Duration) {
        let mut trips = self.took.lock().unwrap();
        trips.0.push(took);
        trips.1 += 1;
        self.another.notify_all();
    }
}

/// Sends bytes and expects them back; answers pings meanwhile.
fn round_trip(ws: &mut Ws, bytes: &[u8]) {
    ws.send(&Frame::binary(bytes));
    let mut heard = Vec::new();
    while heard.len() < bytes.len() {
        let frame = ws.recv().expect("more frames");
        match frame.opcode {
            PING => ws.send(&Frame::pong(frame.payload)),
            opcode => {
                assert_eq!(opcode, BINARY, "{frame:?}");
                heard.extend(frame.payload);
            }
        }
    }
    assert_eq!(heard, bytes);
}

/// What all but one in a hundred took at the most.
pub(super) fn p99(mut trips: Vec<Duration>) -> Duration {
    trips.sort_unstable();
    trips[(trips.len() * 99 / 100).min(trips.len() - 1)]
}
