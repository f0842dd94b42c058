//! Records wait in a bounded queue for a thread that may wait for whoever reads them; nobody else
//! ever does.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::limits;

/// What waits in front of the thread. Until [`Queue::deliver`] is called it only waits.
pub(super) struct Queue<R> {
    most: usize,
    waiting: Arc<Waiting<R>>,
    lost: Arc<AtomicU64>,
    delivered: AtomicBool,
}

struct Waiting<R> {
    jobs: Mutex<VecDeque<Job<R>>>,
    /// Something waits where nothing did.
    news: Condvar,
}

enum Job<R> {
    Send(R),
    /// Says that all before it was sent.
    Tell(SyncSender<()>),
}

impl<R: Send + 'static> Queue<R> {
    /// For so many records and no more.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            waiting: Arc::new(Waiting {
                jobs: Mutex::default(),
                news: Condvar::new(),
            }),
            lost: Arc::default(),
            delivered: AtomicBool::new(false),
        }
    }

    /// Never waits; counts what there is no room for.
    pub(super) fn push(&self, record: R) {
        let jobs = self.waiting.jobs();
        if jobs.len() < self.most {
            self.waiting.add(jobs, Job::Send(record));
        } else {
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
        if self.delivered.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let waiting = self.waiting.clone();
        let work = move || loop {
            match waiting.next() {
                Job::Send(record) => send(record),
                Job::Tell(done) => {
                    let _ = done.try_send(());
                }
            }
        };
        thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(())
    }

    /// Waits a little for what was pushed to be sent; whether it was.
    pub(super) fn flush(&self) -> bool {
        let (tell, told) = sync_channel(1);
        self.waiting.add(self.waiting.jobs(), Job::Tell(tell));
        told.recv_timeout(limits::LOG_FLUSH_TIME).is_ok()
    }
}

impl<R> Waiting<R> {
    fn add(&self, mut jobs: MutexGuard<'_, VecDeque<Job<R>>>, job: Job<R>) {
        jobs.push_back(job);
        // The thread looks again after each.
        if jobs.len() == 1 {
            drop(jobs);
            self.news.notify_one();
        }
    }

    /// Waits for one.
    fn next(&self) -> Job<R> {
        let mut jobs = self.jobs();
        loop {
            if let Some(job) = jobs.pop_front() {
                if jobs.is_empty() {
                    // A crowd's room is not kept for the next one.
                    jobs.shrink_to(limits::LOG_QUEUE);
                }
                return job;
            }
            jobs = self.news.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job<R>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::channel;

    use super::Queue;

    #[test]
    fn what_has_room_is_sent_in_order_and_the_rest_is_counted() {
        let queue = Queue::new(3);
        for number in 0..5 {
            queue.push(number);
        }
        assert_eq!(queue.lost().swap(0, Ordering::Relaxed), 2);
        let (send, sent) = channel();
        queue
            .deliver("test", move |number| send.send(number).unwrap())
            .unwrap();
        assert!(queue.flush());
        queue.push(5);
        assert!(queue.flush());
        assert_eq!(sent.try_iter().collect::<Vec<_>>(), [0, 1, 2, 5]);
    }
}
