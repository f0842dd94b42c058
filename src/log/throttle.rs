//! A message that may come a thousand times a second is logged once in a while.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::limits;

/// Lets one message through each [`limits::LOG_INTERVAL`] and counts the others.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<(Option<Instant>, u64)>);

impl Throttle {
    /// `None` when the message is to be left out; otherwise what to append to it: nothing, or how
    /// many were left out since the last.
    pub fn pass(&self) -> Option<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < limits::LOG_INTERVAL) {
            *left_out += 1;
            return None;
        }
        *last = Some(Instant::now());
        Some(match std::mem::take(left_out) {
            0 => String::new(),
            count => format!(" ({count} more like this were not logged)"),
        })
    }
}
