//! Who is here: the counts that limits, idle exit and shutdown go by.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

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
    /// Those of the sessions that go on without this process.
    pub kept: u32,
    /// Those that are to, and have yet to be given away.
    promised: u32,
    /// Sessions that ever began.
    pub served: u64,
    closed: bool,
    by_address: HashMap<IpAddr, u32>,
}

impl Counts {
    /// Sessions that end with this process.
    #[must_use]
    pub fn bound(&self) -> u32 {
        self.sessions - self.kept - self.promised
    }

    /// Connections that would end with this process if it ended now.
    #[must_use]
    pub fn passing(&self) -> u32 {
        self.connections - self.kept
    }
}

/// Why a client is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// --max-connections are here.
    Server,
    /// --max-connections-per-address of its address are here.
    Address,
    /// No further session is served.
    Closed,
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

    /// Gives a new connection its seat; `from` is `None` where it is not yet known whose it is.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Result<Seat, Full> {
        let mut entered = Err(Full::Server);
        self.counts.send_if_modified(|counts| {
            if counts.connections >= self.max {
                return false;
            }
            entered = self.count(counts, from);
            if entered.is_err() {
                return false;
            }
            counts.connections += 1;
            counts.connections == 1
        });
        entered.map(|counted| Seat {
            census: self.clone(),
            counted: counted.map_or_else(OnceLock::new, OnceLock::from),
            session: AtomicBool::new(false),
            promised: AtomicBool::new(false),
            kept: AtomicBool::new(false),
        })
    }

    /// Gives the client of a session that an earlier process has begun its seat again, whatever the
    /// limits are now; `kept` where it goes on without this process, too.
    #[must_use]
    pub fn return_to(self: &Arc<Self>, client: Option<IpAddr>, kept: bool) -> Seat {
        let mut counted = None;
        self.counts.send_modify(|counts| {
            counts.connections += 1;
            counts.sessions += 1;
            counts.kept += u32::from(kept);
            counts.served += 1;
            counted = client.map(network).filter(|it| self.is_counted(it));
            if let Some(network) = counted {
                *counts.by_address.entry(network).or_default() += 1;
            }
        });
        Seat {
            census: self.clone(),
            counted: counted.map_or_else(OnceLock::new, OnceLock::from),
            session: AtomicBool::new(true),
            promised: AtomicBool::new(false),
            kept: AtomicBool::new(kept),
        }
    }

    fn is_counted(&self, address: &IpAddr) -> bool {
        self.per_address.loopback || !address.is_loopback()
    }

    /// Counts one more connection of an address, and says under what, if addresses like it count.
    fn count(&self, counts: &mut Counts, from: Option<IpAddr>) -> Result<Option<IpAddr>, Full> {
        let Some(network) = from.map(network).filter(|it| self.is_counted(it)) else {
            return Ok(None);
        };
        let here = counts.by_address.entry(network).or_default();
        if *here >= self.per_address.limit {
            return Err(Full::Address);
        }
        *here += 1;
        Ok(Some(network))
    }
}

/// One connection's place; dropping it leaves.
#[derive(Debug)]
pub struct Seat {
    census: Arc<Census>,
    /// What its client's share is counted under.
    counted: OnceLock<IpAddr>,
    session: AtomicBool,
    promised: AtomicBool,
    kept: AtomicBool,
}

impl Seat {
    /// Counts the connection as its client's, once it is known who that is.
    ///
    /// # Errors
    /// The client has its share already.
    pub fn belongs_to(&self, client: Option<IpAddr>) -> Result<(), Full> {
        let mut counted = Ok(());
        self.census.counts.send_if_modified(|counts| {
            counted = self.count(counts, client);
            false
        });
        counted
    }

    /// Makes the connection a session of `client`.
    ///
    /// # Errors
    /// Why no further one is admitted.
    pub fn begin_session(&self, client: Option<IpAddr>) -> Result<(), Full> {
        let mut begun = Err(Full::Closed);
        self.census.counts.send_if_modified(|counts| {
            if counts.closed || self.census.once && counts.served > 0 {
                return false;
            }
            begun = self.count(counts, client);
            if begun.is_err() {
                return false;
            }
            self.session.store(true, Ordering::Relaxed);
            counts.sessions += 1;
            counts.served += 1;
            true
        });
        begun
    }

    /// The session is to go on without this process, soon.
    pub fn promise(&self) {
        self.promised.store(true, Ordering::Relaxed);
        self.census
            .counts
            .send_modify(|counts| counts.promised += 1);
    }

    /// It goes on without this process from now on.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
        let promised = self.promised.swap(false, Ordering::Relaxed);
        self.census.counts.send_modify(|counts| {
            counts.kept += 1;
            counts.promised -= u32::from(promised);
        });
    }

    /// It ends with this process after all.
    pub fn let_go(&self) {
        let kept = self.kept.swap(false, Ordering::Relaxed);
        let promised = self.promised.swap(false, Ordering::Relaxed);
        if kept || promised {
            self.census.counts.send_modify(|counts| {
                counts.kept -= u32::from(kept);
                counts.promised -= u32::from(promised);
            });
        }
    }

    /// A connection is counted once.
    fn count(&self, counts: &mut Counts, client: Option<IpAddr>) -> Result<(), Full> {
        if self.counted.get().is_none() {
            if let Some(network) = self.census.count(counts, client)? {
                // Nobody else sets it: all of this is under the lock of the counts.
                let _ = self.counted.set(network);
            }
        }
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let session = self.session.load(Ordering::Relaxed);
        let kept = self.kept.load(Ordering::Relaxed);
        let promised = self.promised.load(Ordering::Relaxed);
        self.census.counts.send_if_modified(|counts| {
            counts.connections -= 1;
            counts.sessions -= u32::from(session);
            counts.kept -= u32::from(kept);
            counts.promised -= u32::from(promised);
            if let Some(network) = self.counted.get() {
                if let Some(here) = counts.by_address.get_mut(network) {
                    *here -= 1;
                    if *here == 0 {
                        counts.by_address.remove(network);
                    }
                }
            }
            // While the server parts, every connection counts.
            session || counts.passing() == 0
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
    fn a_proxys_connections_are_their_clients() {
        let per_address = PerAddress {
            limit: 1,
            loopback: true,
        };
        let census = Census::new(9, per_address, false);
        let client = |text: &str| Some(text.parse().unwrap());
        let seats: Vec<super::Seat> = (0..3).map(|_| census.enter(None).unwrap()).collect();
        assert_eq!(seats[0].begin_session(client("192.0.2.1")), Ok(()));
        assert_eq!(
            seats[1].begin_session(client("192.0.2.1")),
            Err(Full::Address)
        );
        assert_eq!(seats[1].begin_session(client("192.0.2.2")), Ok(()));
        assert_eq!(seats[2].belongs_to(client("192.0.2.2")), Err(Full::Address));
        assert_eq!(seats[2].belongs_to(client("192.0.2.3")), Ok(()));
        // It is counted already, whoever its requests are from.
        assert_eq!(seats[2].begin_session(client("192.0.2.1")), Ok(()));
        assert_eq!(enter(&census, "192.0.2.3").unwrap_err(), Full::Address);
        drop(seats);
        let _seat = enter(&census, "192.0.2.3").unwrap();
        assert_eq!(census.watch().borrow().by_address.len(), 1);
    }

    #[test]
    fn sessions_of_an_earlier_process_have_their_seats_whatever_the_limits() {
        let per_address = PerAddress {
            limit: 1,
            loopback: true,
        };
        let census = Census::new(2, per_address, false);
        let client = Some("192.0.2.1".parse().unwrap());
        let returned = [true, true, false].map(|kept| census.return_to(client, kept));
        let counts = census.watch();
        let now = |counts: &super::Counts| (counts.connections, counts.bound(), counts.passing());
        assert_eq!(now(&counts.borrow()), (3, 1, 1));
        assert_eq!(enter(&census, "198.51.100.1").unwrap_err(), Full::Server);
        drop(returned);
        assert_eq!(now(&counts.borrow()), (0, 0, 0));
        // A new one is bound to the process until it is kept.
        let seat = enter(&census, "192.0.2.1").unwrap();
        assert_eq!(seat.begin_session(client), Ok(()));
        assert_eq!(now(&counts.borrow()), (1, 1, 1));
        seat.keep();
        assert_eq!(now(&counts.borrow()), (1, 0, 0));
        seat.let_go();
        assert_eq!(now(&counts.borrow()), (1, 1, 1));
        seat.keep();
        assert_eq!(enter(&census, "192.0.2.1").unwrap_err(), Full::Address);
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
        assert_eq!(one.begin_session(None), Ok(()));
        assert_eq!(other.begin_session(None), Err(Full::Closed));
        drop(one);
        assert_eq!(other.begin_session(None), Err(Full::Closed));
        drop(other);
        let counts = census.watch();
        assert_eq!((counts.borrow().sessions, counts.borrow().served), (0, 1));
    }
}
