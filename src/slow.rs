//! Who has guessed wrong, a password or a token, waits for the next answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;
use crate::network::network;

/// Failures of late, by network.
#[derive(Debug, Default)]
pub struct Slow(Mutex<HashMap<IpAddr, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn delay(self) -> Duration {
        let Some(doubled) = self.count.checked_sub(limits::FAILURES_FREE) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
        limits::FAILURE_DELAY
            .saturating_mul(factor)
            .min(limits::FAILURE_DELAY_MOST)
    }

    fn forgiven(self, now: Instant) -> bool {
        now.duration_since(self.last) >= limits::FAILURES_FORGOTTEN
    }
}

impl Slow {
    /// How long the next answer to `from` is to take. It is the same for a right password: who is
    /// guessing must not learn from a quick answer that it was right.
    pub fn delay(&self, from: Option<IpAddr>, now: Instant) -> Duration {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted(from)
            .and_then(|from| known.get(&from))
            .filter(|failures| !failures.forgiven(now))
            .map_or(Duration::ZERO, |failures| failures.delay())
    }

    /// `from` has guessed wrong once more.
    pub fn failed(&self, from: Option<IpAddr>, now: Instant) {
        let Some(from) = counted(from) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::FAILURES_KNOWN && !known.contains_key(&from) {
            known.retain(|_, failures| !failures.forgiven(now));
        }
        if known.len() >= limits::FAILURES_KNOWN && !known.contains_key(&from) {
            let oldest = known.iter().min_by_key(|(_, failures)| failures.last);
            if let Some(oldest) = oldest.map(|(network, _)| *network) {
                known.remove(&oldest);
            }
        }
        let failures = known.entry(from).or_insert(Failures {
            count: 0,
            last: now,
        });
        if failures.forgiven(now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// `from` was right: what it did wrong before is forgiven.
    pub fn succeeded(&self, from: Option<IpAddr>) {
        if let Some(from) = counted(from) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.remove(&from);
        }
    }
}

/// Everybody behind a reverse proxy on this machine comes from loopback: one who guesses there
/// must not slow the others.
fn counted(from: Option<IpAddr>) -> Option<IpAddr> {
    from.filter(|from| !from.is_loopback()).map(network)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::Slow;
    use crate::limits;

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn delays_grow_to_a_cap_and_a_success_or_time_ends_them() {
        let (slow, now) = (Slow::default(), Instant::now());
        let from = at("192.0.2.1");
        for _ in 1..limits::FAILURES_FREE {
            slow.failed(from, now);
        }
        assert_eq!(slow.delay(from, now), Duration::ZERO);
        slow.failed(from, now);
        assert_eq!(slow.delay(from, now), limits::FAILURE_DELAY);
        slow.failed(from, now);
        assert_eq!(slow.delay(from, now), limits::FAILURE_DELAY * 2);
        for _ in 0..100 {
            slow.failed(from, now);
        }
        assert_eq!(slow.delay(from, now), limits::FAILURE_DELAY_MOST);
        assert_eq!(slow.delay(at("192.0.2.2"), now), Duration::ZERO);
        let later = now + limits::FAILURES_FORGOTTEN;
        assert_eq!(slow.delay(from, later), Duration::ZERO);
        slow.succeeded(from);
        assert_eq!(slow.delay(from, now), Duration::ZERO);
    }

    #[test]
    fn one_ipv6_network_is_one_and_loopback_and_unix_sockets_are_none() {
        let (slow, now) = (Slow::default(), Instant::now());
        for n in 0..limits::FAILURES_FREE {
            slow.failed(at(&format!("2001:db8::{n:x}")), now);
            slow.failed(at("127.0.0.1"), now);
            slow.failed(at("::1"), now);
            slow.failed(None, now);
        }
        assert_eq!(slow.delay(at("2001:db8::ffff"), now), limits::FAILURE_DELAY);
        assert_eq!(slow.delay(at("2001:db8:0:1::1"), now), Duration::ZERO);
        for from in [at("127.0.0.1"), at("::1"), None] {
            assert_eq!(slow.delay(from, now), Duration::ZERO);
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let (slow, now) = (Slow::default(), Instant::now());
        for n in 0..limits::FAILURES_KNOWN + 10 {
            let n = u32::try_from(n).unwrap();
            let from = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n));
            slow.failed(Some(from), now + Duration::from_millis(n.into()));
        }
        let known = slow.0.lock().unwrap();
        assert_eq!(known.len(), limits::FAILURES_KNOWN);
        assert!(!known.contains_key(&at("10.0.0.0").unwrap()));
    }
}
