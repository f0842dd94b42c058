//! How soon a program that has ended is started again.

use std::time::Duration;

use crate::limits;

/// What the last runs were like.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    failed: u32,
}

/// When to start, and whether that is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// Until the start.
    pub(super) time: Duration,
    /// Whether the last lines in the log said something else.
    pub(super) news: bool,
}

impl Pacing {
    /// Whether starts have to wait: then each of them is no news any more.
    pub(super) fn is_slow(&self) -> bool {
        self.failed > limits::RESPAWN_AT_ONCE
    }

    /// Judges a run by how long it was. The first few starts come at once: a program may serve one
    /// client and end. After them, the pause doubles up to its longest.
    pub(super) fn after(&mut self, ran: Duration) -> Pause {
        if ran >= limits::RESPAWN_WELL {
            self.failed = 0;
        }
        self.failed = self.failed.saturating_add(1);
        let doubled = self.failed.checked_sub(limits::RESPAWN_AT_ONCE + 1);
        let time = match doubled {
            None => Duration::ZERO,
            Some(times) => limits::RESPAWN_PAUSE
                .saturating_mul(2_u32.saturating_pow(times))
                .min(limits::RESPAWN_PAUSE_MOST),
        };
        Pause {
            time,
            news: doubled.is_none_or(|times| times == 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Pacing, Pause};
    use crate::limits;

    #[test]
    fn three_at_once_then_ever_slower_until_it_runs_well() {
        let mut pacing = Pacing::default();
        let mut after = |ran: u64| pacing.after(Duration::from_millis(ran));
        let at_once = Pause {
            time: Duration::ZERO,
            news: true,
        };
        for _ in 0..3 {
            assert_eq!(after(5), at_once);
        }
        let pauses: Vec<Pause> = (0..8).map(|_| after(9_999)).collect();
        let most = limits::RESPAWN_PAUSE_MOST.as_millis();
        let times: Vec<u128> = pauses.iter().map(|it| it.time.as_millis()).collect();
        assert_eq!(times, [250, 500, 1000, 2000, 4000, most, most, most]);
        let news: Vec<bool> = pauses.iter().map(|it| it.news).collect();
        assert_eq!(
            news,
            [true, false, false, false, false, false, false, false]
        );
        for ran in [10_000, 5, 5] {
            assert_eq!(after(ran), at_once);
        }
        assert_eq!(after(5).time, limits::RESPAWN_PAUSE);
        assert!(pacing.is_slow());
        pacing.after(limits::RESPAWN_WELL);
        assert!(!pacing.is_slow());
    }
}
