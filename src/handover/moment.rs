//! Moments that another process of this boot can read, which a [`std::time::Instant`] is not.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment of CLOCK_MONOTONIC (clock_gettime(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment(Duration);

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        // The kernel's are never negative.
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, nanos))
    }

    /// How long ago it was.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        Self(Self::now().0.saturating_sub(instant.elapsed()))
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        let now = Self::now();
        now.checked_sub(moment.elapsed()).unwrap_or(now)
    }
}
