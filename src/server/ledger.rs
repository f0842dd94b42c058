//! Every live session, for whoever wants to see or to end it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::listener::Peer;
use crate::relay::Tally;
use crate::route::Route;
use crate::token::{Found, Mark};
use crate::websocket::close::Close;

/// The book of live sessions.
#[derive(Debug, Default)]
pub struct Ledger {
    live: Mutex<HashMap<u64, Live>>,
    ids: AtomicU64,
    /// What sessions that are over have moved.
    past: Tally,
}

#[derive(Debug)]
struct Live {
    entry: Arc<Entry>,
    end: Option<oneshot::Sender<Close>>,
}

/// What is known of a session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: no other of this process has it, nor of those that it resumes.
    pub id: u64,
    /// Who is at the other end.
    pub client: Peer,
    /// Who that is, if that was asked.
    pub identity: Option<Box<str>>,
    /// Where it goes.
    pub route: Arc<Route>,
    /// Its token's mark.
    pub token: Option<Mark>,
    /// When it began.
    pub since: SystemTime,
    /// What it has moved so far.
    pub tally: Arc<Tally>,
}

/// A session's line in the book; dropping it strikes it out.
#[derive(Debug)]
pub struct Line {
    ledger: Arc<Ledger>,
    /// What it says.
    pub entry: Arc<Entry>,
    /// Hears that the session is to end.
    pub ended: oneshot::Receiver<Close>,
}

/// Which sessions are meant; an entry must match all that is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// See [`Entry::id`].
    pub id: Option<u64>,
    /// See [`Entry::token`].
    pub token: Option<Mark>,
    /// What the log calls [`Entry::route`].
    pub target: Option<String>,
}

impl Ledger {
    /// Writes a session down.
    pub fn enter(self: &Arc<Self>, client: Peer, identity: Option<Box<str>>, found: Found) -> Line {
        let id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Arc::new(Entry {
            id,
            client,
            identity,
            route: found.route,
            token: found.token,
            since: SystemTime::now(),
            tally: Arc::default(),
        });
        self.write(entry)
    }

    /// Goes on with a session of an earlier process.
    pub fn resume(self: &Arc<Self>, entry: Arc<Entry>) -> Line {
        self.write(entry)
    }

    /// Gives no number up to this one any more: an earlier process has.
    pub fn pass_over(&self, number: u64) {
        self.ids.fetch_max(number, Ordering::Relaxed);
    }

    fn write(self: &Arc<Self>, entry: Arc<Entry>) -> Line {
        let (end, ended) = oneshot::channel();
        let live = Live {
            entry: entry.clone(),
            end: Some(end),
        };
        self.live().insert(live.entry.id, live);
        Line {
            ledger: self.clone(),
            entry,
            ended,
        }
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.live().values().map(|it| it.entry.clone()).collect();
        entries.sort_unstable_by_key(|entry| entry.id);
        entries
    }

    /// Ends those that are meant and says how many there were.
    pub fn end(&self, which: &Which) -> usize {
        let mut live = self.live();
        let meant = live.values_mut().filter(|live| which.has(&live.entry));
        let ends = meant.filter_map(|live| live.end.take());
        ends.filter_map(|end| end.send(Close::ENDED).ok()).count()
    }

    /// Payload bytes that all sessions ever moved: from clients, and to them.
    #[must_use]
    pub fn moved(&self) -> (u64, u64) {
        let live = self.live();
        let tallies = live.values().map(|live| &*live.entry.tally);
        tallies.chain([&self.past]).fold((0, 0), |(up, down), it| {
            (up + it.by_client(), down + it.for_client())
        })
    }

    fn live(&self) -> MutexGuard<'_, HashMap<u64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut live = self.ledger.live();
        live.remove(&self.entry.id);
        // With the book still open, so that no sum counts it twice or not at all.
        self.ledger.past.add(&self.entry.tally);
    }
}

impl Which {
    fn has(&self, entry: &Entry) -> bool {
        self.id.is_none_or(|id| id == entry.id)
            && (self.token.is_none() || self.token == entry.token)
            && self
                .target
                .as_deref()
                .is_none_or(|target| target == entry.route.to_string())
    }
}
