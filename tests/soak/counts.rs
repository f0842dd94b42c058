//! What happened since the last report.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Fault;
use crate::jobs::Kind;

#[derive(Debug)]
pub(crate) struct Counts {
    /// Payload bytes that arrived and were right, either way.
    right: AtomicU64,
    wrong: AtomicU64,
    refused: AtomicU64,
    /// Plain ones and those inside TLS that were accepted and not served, and sessions that ended
    /// before they were over.
    unanswered: [AtomicU64; 2],
    lost: [AtomicU64; 2],
    /// The longest that an echo took, in milliseconds.
    worst: AtomicU64,
    done: [AtomicU64; Kind::ALL.len()],
}

pub(crate) static COUNTS: Counts = Counts {
    right: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    unanswered: [const { AtomicU64::new(0) }; 2],
    lost: [const { AtomicU64::new(0) }; 2],
    worst: AtomicU64::new(0),
    done: [const { AtomicU64::new(0) }; Kind::ALL.len()],
};

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    pub(crate) fn right(&self, bytes: usize) {
        self.right.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn echo_took(&self, milliseconds: u64) {
        self.worst.fetch_max(milliseconds, Ordering::Relaxed);
    }

    pub(crate) fn done(&self, kind: Kind) {
        count(&self.done[kind as usize]);
    }

    pub(crate) fn fault(&self, fault: &Fault, tls: bool, kind: Kind) {
        match fault {
            Fault::Refused => count(&self.refused),
            Fault::Unanswered => count(&self.unanswered[usize::from(tls)]),
            Fault::Lost(_) => count(&self.lost[usize::from(tls)]),
            Fault::Wrong(what) => self.wrong(&format!("{kind:?}: {what}")),
        }
        println!("fault of {kind:?}, tls={tls}: {fault:?}");
    }

    pub(crate) fn wrong(&self, what: &str) {
        count(&self.wrong);
        println!("wrong: {what}");
    }

    /// In a line of key=value.
    pub(crate) fn report(&self, name: &str) {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let done = Kind::ALL.iter().zip(&self.done);
        let done: String = done
            .map(|(kind, it)| format!(" {kind:?}={}", take(it)))
            .collect();
        println!(
            "{name} right_bytes={} wrong={} refused={} unanswered={} unanswered_tls={} lost={} lost_tls={} \
             worst_echo_ms={}{}",
            take(&self.right),
            take(&self.wrong),
            take(&self.refused),
            take(&self.unanswered[0]),
            take(&self.unanswered[1]),
            take(&self.lost[0]),
            take(&self.lost[1]),
            take(&self.worst),
            done.to_lowercase(),
        );
    }
}
