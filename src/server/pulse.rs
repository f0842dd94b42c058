//! The watchdog's food (sd_notify(3), WATCHDOG=1): each loop that accepts has its part in it, so one
//! that is stuck starves the manager's patience, and we are started anew.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::limits;
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

    /// The loop came round. A manager that is too busy to hear it is told again soon.
    pub(super) fn beat(&self, beat: &mut Beat) {
        let mut beaten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(it) = beaten.get_mut(beat.index) {
            *it = true;
        }
        if beaten.iter().all(|it| *it) {
            if notify::alive() {
                beaten.fill(false);
            } else {
                beat.hasten();
            }
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

    /// Returns when it is time for [`Pulse::beat`]. Safe to drop.
    pub(super) async fn next(&mut self) {
        match &mut self.timer {
            Some(timer) => drop(timer.tick().await),
            None => std::future::pending().await,
        }
    }

    fn hasten(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.reset_after(limits::PULSE_RETRY.min(timer.period()));
        }
    }
}

fn every(time: Duration) -> Interval {
    let mut timer = interval(time);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}
