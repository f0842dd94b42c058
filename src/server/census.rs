//! Who is here: the counts that limits, idle exit and shutdown go by.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::config::PerAddress;
use crate::network::network;

/// The book of present connections.
#[derive(Debug)]
pub struct Census {
    counts: watch::Sender<Counts>,
    max: u32,
    per_address: PerAddress,
    /// Whether only one session is ever admitted (--run-once).
    once: bool,
}

/// How many are here.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections, sessions included.
    pub connections: u32,
    /// WebSocket sessions.
    pub sessions: u32,
    /// Sessions that ever began.
    pub served: u64,
    closed: bool,
    by_address: HashMap<IpAddr, u32>,
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// --max-connections are here.
    Server,
    /// --max-connections-per-address of its address are here.
    Address,
}

impl Census {
    /// An empty book.
    #[must_use]
    pub fn new(max: u32, per_address: PerAddress, once: bool) -> Arc<Self> {
        Arc::new(Self {
            counts: watch::Sender::default(),
            max,
            per_address,
            once,
        })
    }

    /// The counts, and word when a connection comes into an empty server, the last one leaves or
    /// a session begins or ends.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Admits no further session: a page that stays connected must not hold up an end that waits
    /// for the last one.
    pub fn close(&self) {
        self.counts.send_if_modified(|counts| {
            counts.closed = true;
            false
        });
    }

    /// Gives a new connection its seat.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Result<Seat, Full> {
        let limited = from
            .map(network)
            .filter(|it| self.per_address.loopback || !it.is_loopback());
        let mut entered = Ok(());
        self.counts.send_if_modified(|counts| {
            if counts.connections >= self.max {
                entered = Err(Full::Server);
                return false;
            }
            if let Some(network) = limited {
                let here = counts.by_address.entry(network).or_default();
                if *here >= self.per_address.limit {
                    entered = Err(Full::Address);
                    return false;
                }
                *here += 1;
            }
            counts.connections += 1;
            counts.connections == 1
        });
        entered.map(|()| Seat {
            census: self.clone(),
            limited,
            session: AtomicBool::new(false),
        })
    }
}

/// One connection's place; dropping it leaves.
#[derive(Debug)]
pub struct Seat {
    census: Arc<Census>,
    limited: Option<IpAddr>,
    session: AtomicBool,
}

impl Seat {
    /// Makes the connection a session; `false` when no further session is admitted.
    pub fn begin_session(&self) -> bool {
        self.census.counts.send_if_modified(|counts| {
            if counts.closed || self.census.once && counts.served > 0 {
                return false;
            }
            self.session.store(true, Ordering::Relaxed);
            counts.sessions += 1;
            counts.served += 1;
            true
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let session = self.session.load(Ordering::Relaxed);
        self.census.counts.send_if_modified(|counts| {
            counts.connections -= 1;
            counts.sessions -= u32::from(session);
            if let Some(network) = self.limited {
                if let Some(here) = counts.by_address.get_mut(&network) {
                    *here -= 1;
                    if *here == 0 {
                        counts.by_address.remove(&network);
                    }
                }
            }
            session || counts.connections == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Census, Full, PerAddress};

    fn enter(census: &std::sync::Arc<Census>, from: &str) -> Result<super::Seat, Full> {
        census.enter(Some(from.parse().unwrap()))
    }

    #[test]
    fn seats_are_limited_by_server_and_by_network_and_given_back() {
        let census = Census::new(
            5,
            PerAddress {
                limit: 2,
                loopback: false,
            },
            false,
        );
        let first = enter(&census, "192.0.2.1").unwrap();
        let _second = enter(&census, "192.0.2.1").unwrap();
        assert_eq!(enter(&census, "192.0.2.1").unwrap_err(), Full::Address);
        drop(first);
        let _third = enter(&census, "192.0.2.1").unwrap();
        let _v6 = enter(&census, "2001:db8::1").unwrap();
        let _same = enter(&census, "2001:db8::ffff").unwrap();
        assert_eq!(enter(&census, "2001:db8::2:0").unwrap_err(), Full::Address);
        let _other = enter(&census, "2001:db8:0:1::1").unwrap();
        assert_eq!(enter(&census, "198.51.100.1").unwrap_err(), Full::Server);
        assert_eq!(census.watch().borrow().connections, 5);
    }

    #[test]
    fn loopback_counts_only_where_asked_for() {
        let census = Census::new(
            9,
            PerAddress {
                limit: 1,
                loopback: false,
            },
            false,
        );
        let _seats = [
            enter(&census, "127.0.0.1").unwrap(),
            enter(&census, "127.0.0.1").unwrap(),
        ];
        let census = Census::new(
            9,
            PerAddress {
                limit: 1,
                loopback: true,
            },
            false,
        );
        let _seat = enter(&census, "::1").unwrap();
        assert_eq!(enter(&census, "::1").unwrap_err(), Full::Address);
    }

    #[test]
    fn one_session_and_no_other() {
        let census = Census::new(
            9,
            PerAddress {
                limit: 9,
                loopback: true,
            },
            true,
        );
        let (one, other) = (
            enter(&census, "::1").unwrap(),
            enter(&census, "::1").unwrap(),
        );
        assert!(one.begin_session());
        assert!(!other.begin_session());
        drop(one);
        assert!(!other.begin_session());
        drop(other);
        let counts = census.watch();
        assert_eq!((counts.borrow().sessions, counts.borrow().served), (0, 1));
    }
}
