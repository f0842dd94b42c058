//! Records wait in a bounded queue for a thread that may wait for whoever reads them; nobody else
//! ever does.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::limits;

/// What waits in front of the thread. Until [`Queue::deliver`] is called it only waits.
pub(super) struct Queue<R> {
    jobs: SyncSender<Job<R>>,
    lost: Arc<AtomicU64>,
    undelivered: Mutex<Option<Receiver<Job<R>>>>,
}

enum Job<R> {
    Send(R),
    /// Says that all before it was sent.
    Tell(SyncSender<()>),
}

impl<R: Send + 'static> Queue<R> {
    pub(super) fn new() -> Self {
        let (jobs, waiting) = sync_channel(limits::LOG_QUEUE);
        Self {
            jobs,
            lost: Arc::default(),
            undelivered: Mutex::new(Some(waiting)),
        }
    }

    /// Never waits; counts what there is no room for.
    pub(super) fn push(&self, record: R) {
        if self.jobs.try_send(Job::Send(record)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many records there was no room for, for who has told of them to take away.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        self.lost.clone()
    }

    /// Starts the thread that sends, unless it is there.
    ///
    /// # Errors
    /// The kernel has no thread for us.
    pub(super) fn deliver(
        &self,
        name: &str,
        mut send: impl FnMut(R) + Send + 'static,
    ) -> io::Result<()> {
        let undelivered = self.undelivered.lock();
        let waiting = undelivered.unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else {
            return Ok(());
        };
        let work = move || {
            for job in waiting {
                match job {
                    Job::Send(record) => send(record),
                    Job::Tell(done) => {
                        let _ = done.try_send(());
                    }
                }
            }
        };
        thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(())
    }

    /// Waits a little for what was pushed to be sent; whether it was.
    pub(super) fn flush(&self) -> bool {
        let (tell, told) = sync_channel(1);
        self.jobs.try_send(Job::Tell(tell)).is_ok()
            && told.recv_timeout(limits::LOG_FLUSH_TIME).is_ok()
    }
}
