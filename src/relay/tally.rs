//! What a session has moved so far, for whoever asks while it lives.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Payload bytes each way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    from_client: AtomicU64,
    for_client: AtomicU64,
}

impl Tally {
    /// What the client sent and the target took.
    #[must_use]
    pub fn by_client(&self) -> u64 {
        self.from_client.load(Ordering::Relaxed)
    }

    /// What the target sent for the client; of a session that is over, what its socket took.
    #[must_use]
    pub fn for_client(&self) -> u64 {
        self.for_client.load(Ordering::Relaxed)
    }

    /// Adds what another session has moved.
    pub fn add(&self, other: &Self) {
        let add = |to: &AtomicU64, more| to.fetch_add(more, Ordering::Relaxed);
        add(&self.from_client, other.by_client());
        add(&self.for_client, other.for_client());
    }

    pub(super) fn took_from_client(&self, bytes: usize) {
        self.from_client.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn got_for_client(&self, bytes: usize) {
        self.for_client.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The client will not have these.
    pub(super) fn not_for_client(&self, bytes: usize) {
        let less = |all: u64| Some(all.saturating_sub(bytes as u64));
        let _ = self
            .for_client
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}
