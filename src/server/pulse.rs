//! The watchdog's food (sd_notify(3), WATCHDOG=1): each loop that accepts has its part in it, so one
//! that is stuck starves the manager's patience, and we are started anew.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::systemd::notify;

/// Which loops have beaten since the manager was told last.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Vec<bool>>);

/// One loop's part.
#[derive(Debug)]
pub(super) struct Beat {
    index: usize,
    timer: Option<Interval>,
}

impl Pulse {
    /// Takes on so many loops, and forgets others.
    pub(super) fn of(&self, loops: usize) -> impl Iterator<Item = Beat> + use<> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = vec![false; loops];
        (0..loops).map(Beat::new)
    }

    /// Takes on one loop, and forgets others.
    pub(super) fn alone(&self) -> Beat {
        drop(self.of(1));
        Beat::new(0)
    }

    /// The loop came round.
    pub(super) fn beat(&self, index: usize) {
        let mut beaten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = beaten.get_mut(index) {
            *it = true;
        }
        if beaten.iter().all(|it| *it) {
            beaten.fill(false);
            notify::alive();
        }
    }
}

impl Beat {
    fn new(index: usize) -> Self {
        Self {
            index,
            timer: notify::pulse().map(every),
        }
    }

    /// Returns when it is time for [`Pulse::beat`], with whose. Safe to drop.
    pub(super) async fn next(&mut self) -> usize {
        match &mut self.timer {
            Some(timer) => timer.tick().await,
            None => std::future::pending().await,
        };
        self.index
    }
}

fn every(time: Duration) -> Interval {
    let mut timer = interval(time);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}
