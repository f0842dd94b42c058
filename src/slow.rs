//! Who has guessed wrong, a password or a token, waits for the next answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits;
use crate::network::network;

/// Failures of late, by network.
#[derive(Debug, Default)]
pub struct Slow {
    known: Mutex<HashMap<IpAddr, Failures>>,
    names: RandomState,
}

/// One network's.
#[derive(Clone, Debug)]
struct Failures {
    /// How many in whose name; the names as numbers, to be small.
    by_user: Vec<(u64, u32)>,
    /// Those in the names that there was no room for.
    others: u32,
    last: Instant,
    /// Requests that wait for their delay now.
    waiting: u32,
}

/// One request's turn; dropping it lets another wait.
#[derive(Debug)]
pub struct Turn<'s> {
    slow: &'s Slow,
    /// What it waits in, if it has to.
    network: Option<IpAddr>,
    /// How long its answer is to take.
    pub delay: Duration,
}

impl Failures {
    fn count(&self) -> u32 {
        let counts = self.by_user.iter().map(|(_, count)| *count);
        counts.fold(self.others, u32::saturating_add)
    }

    /// The next answer's delay, behind those that are being waited for.
    fn delay(&self) -> Duration {
        let Some(doubled) = self.count().checked_sub(limits::FAILURES_FREE) else {
            return Duration::ZERO;
        };
        let doubled = doubled.saturating_add(self.waiting);
        let factor = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
        limits::FAILURE_DELAY
            .saturating_mul(factor)
            .min(limits::FAILURE_DELAY_MOST)
    }

    fn forgiven(&self, now: Instant) -> bool {
        now.duration_since(self.last) >= limits::FAILURES_FORGOTTEN
    }
}

impl Slow {
    /// How long the next answer to `from` is to take; `None` where too many wait for theirs
    /// already: many guesses at once would otherwise all wait the same time. It is the same for a
    /// right password: who is guessing must not learn from a quick answer that it was right.
    pub fn turn(&self, from: Option<IpAddr>, now: Instant) -> Option<Turn<'_>> {
        let mut turn = Turn {
            slow: self,
            network: None,
            delay: Duration::ZERO,
        };
        let mut known = self.known();
        let failures = counted(from).and_then(|from| Some((from, known.get_mut(&from)?)));
        let Some((network, failures)) = failures.filter(|(_, it)| !it.forgiven(now)) else {
            return Some(turn);
        };
        turn.delay = failures.delay();
        if !turn.delay.is_zero() {
            if failures.waiting >= limits::GUESSES_AT_ONCE {
                return None;
            }
            failures.waiting += 1;
            turn.network = Some(network);
        }
        Some(turn)
    }

    /// Counts a failure in the name of `user`.
    pub fn failed(&self, from: Option<IpAddr>, user: &str, now: Instant) {
        let Some(from) = counted(from) else { return };
        let mut known = self.known();
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
            by_user: Vec::new(),
            others: 0,
            last: now,
            waiting: 0,
        });
        if failures.forgiven(now) {
            failures.by_user.clear();
            failures.others = 0;
        }
        let name = self.names.hash_one(user);
        let room = failures.by_user.len() < limits::FAILURE_NAMES;
        let own = failures.by_user.iter_mut().find(|(it, _)| *it == name);
        match own {
            Some((_, count)) => *count = count.saturating_add(1),
            None if room => failures.by_user.push((name, 1)),
            None => failures.others = failures.others.saturating_add(1),
        }
        failures.last = now;
    }

    /// Forgives `user` its own failures, and no others': who has an account must not be able to
    /// guess at another's between two log-ins.
    pub fn succeeded(&self, from: Option<IpAddr>, user: &str) {
        let Some(from) = counted(from) else { return };
        let mut known = self.known();
        if let Some(failures) = known.get_mut(&from) {
            let name = self.names.hash_one(user);
            failures.by_user.retain(|(it, _)| *it != name);
            if failures.count() == 0 && failures.waiting == 0 {
                known.remove(&from);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        if let Some(failures) = self.slow.known().get_mut(&network) {
            // It may be another entry than the one that was waited in.
            failures.waiting = failures.waiting.saturating_sub(1);
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

    fn delay(slow: &Slow, from: Option<IpAddr>, now: Instant) -> Duration {
        slow.turn(from, now).unwrap().delay
    }

    #[test]
    fn delays_grow_to_a_cap_and_a_success_or_time_ends_them() {
        let (slow, now) = (Slow::default(), Instant::now());
        let from = at("192.0.2.1");
        for _ in 1..limits::FAILURES_FREE {
            slow.failed(from, "jane", now);
        }
        assert_eq!(delay(&slow, from, now), Duration::ZERO);
        slow.failed(from, "jane", now);
        assert_eq!(delay(&slow, from, now), limits::FAILURE_DELAY);
        slow.failed(from, "jane", now);
        assert_eq!(delay(&slow, from, now), limits::FAILURE_DELAY * 2);
        for _ in 0..100 {
            slow.failed(from, "jane", now);
        }
        assert_eq!(delay(&slow, from, now), limits::FAILURE_DELAY_MOST);
        assert_eq!(delay(&slow, at("192.0.2.2"), now), Duration::ZERO);
        let later = now + limits::FAILURES_FORGOTTEN;
        assert_eq!(delay(&slow, from, later), Duration::ZERO);
        slow.succeeded(from, "jane");
        assert_eq!(delay(&slow, from, now), Duration::ZERO);
        assert!(slow.known().is_empty());
    }

    #[test]
    fn a_success_forgives_its_own_user_only() {
        let (slow, now) = (Slow::default(), Instant::now());
        let from = at("192.0.2.1");
        for n in 0..limits::FAILURES_FREE {
            slow.failed(from, "jane", now);
            slow.failed(from, "mallory", now);
            // Names beyond those that are known are nobody's to be forgiven.
            slow.failed(from, &n.to_string(), now);
            slow.succeeded(from, "mallory");
        }
        assert_eq!(
            slow.known()[&from.unwrap()].count(),
            2 * limits::FAILURES_FREE
        );
        for n in 0..limits::FAILURE_NAMES + 1 {
            slow.failed(from, &format!("user {n}"), now);
        }
        slow.succeeded(from, "jane");
        for n in 0..limits::FAILURE_NAMES + 1 {
            slow.succeeded(from, &n.to_string());
            slow.succeeded(from, &format!("user {n}"));
        }
        assert_ne!(slow.known()[&from.unwrap()].count(), 0);
    }

    #[test]
    fn few_wait_at_once_and_each_longer_than_the_last() {
        let (slow, now) = (Slow::default(), Instant::now());
        let from = at("192.0.2.1");
        let free: Vec<_> = (0..100).map(|_| slow.turn(from, now).unwrap()).collect();
        assert!(free.iter().all(|turn| turn.delay.is_zero()));
        for _ in 0..limits::FAILURES_FREE {
            slow.failed(from, "jane", now);
        }
        let mut turns: Vec<_> = (0..limits::GUESSES_AT_ONCE)
            .map(|_| slow.turn(from, now).unwrap())
            .collect();
        assert_eq!(turns[0].delay, limits::FAILURE_DELAY);
        assert_eq!(turns[1].delay, limits::FAILURE_DELAY * 2);
        assert!(slow.turn(from, now).is_none());
        assert!(slow.turn(at("192.0.2.2"), now).is_some());
        turns.pop();
        assert!(slow.turn(from, now).is_some());
        drop((turns, free));
        assert_eq!(delay(&slow, from, now), limits::FAILURE_DELAY);
    }

    #[test]
    fn one_ipv6_network_is_one_and_loopback_and_unix_sockets_are_none() {
        let (slow, now) = (Slow::default(), Instant::now());
        for n in 0..limits::FAILURES_FREE {
            for from in [
                at(&format!("2001:db8::{n:x}")),
                at("127.0.0.1"),
                at("::1"),
                None,
            ] {
                slow.failed(from, "jane", now);
            }
        }
        let network = at("2001:db8::ffff");
        assert_eq!(delay(&slow, network, now), limits::FAILURE_DELAY);
        assert_eq!(delay(&slow, at("2001:db8:0:1::1"), now), Duration::ZERO);
        for from in [at("127.0.0.1"), at("::1"), None] {
            assert_eq!(delay(&slow, from, now), Duration::ZERO);
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let (slow, now) = (Slow::default(), Instant::now());
        for n in 0..limits::FAILURES_KNOWN + 10 {
            let n = u32::try_from(n).unwrap();
            let from = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n));
            slow.failed(Some(from), "jane", now + Duration::from_millis(n.into()));
        }
        let known = slow.known();
        assert_eq!(known.len(), limits::FAILURES_KNOWN);
        assert!(!known.contains_key(&at("10.0.0.0").unwrap()));
    }
}
