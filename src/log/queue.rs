//! Records wait in a bounded queue for a thread that may wait for whoever reads them; nobody else
//! ever does.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::limits;

/// What waits in front of the thread. Until [`Queue::deliver`] is called it only waits.
pub(super) struct Queue<R> {
    waiting: Arc<Waiting<R>>,
    delivered: AtomicBool,
}

/// What is to be sent.
pub(super) enum Said<R> {
    Record(R),
    /// So many records would stand here, and there was no room for them.
    Missing(u64),
}

struct Waiting<R> {
    most: usize,
    backlog: Mutex<Backlog<R>>,
    /// Something waits where nothing did.
    news: Condvar,
}

struct Backlog<R> {
    jobs: VecDeque<Job<R>>,
    /// Records that there was no room for. Once it begins, it goes on until half of what waits is
    /// sent: a reader that is a little too slow is told of one gap then and when, and not behind each
    /// record.
    missing: u64,
}

enum Job<R> {
    Send(Said<R>),
    /// Says that all before it was sent.
    Tell(SyncSender<()>),
}

impl<R: Send + 'static> Queue<R> {
    /// For so many records and no more.
    pub(super) fn new(most: usize) -> Self {
        Self {
            waiting: Arc::new(Waiting {
                most,
                backlog: Mutex::new(Backlog {
                    jobs: VecDeque::new(),
                    missing: 0,
                }),
                news: Condvar::new(),
            }),
            delivered: AtomicBool::new(false),
        }
    }

    /// Never waits; counts what there is no room for.
    pub(super) fn push(&self, record: R) {
        let mut backlog = self.waiting.backlog();
        if backlog.missing == 0 && backlog.jobs.len() < self.waiting.most {
            self.waiting.add(backlog, Job::Send(Said::Record(record)));
        } else {
            backlog.missing += 1;
        }
    }

    /// Starts the thread that sends, unless it is there.
    ///
    /// # Errors
    /// The kernel has no thread for us.
    pub(super) fn deliver(
        &self,
        name: &str,
        mut send: impl FnMut(Said<R>) + Send + 'static,
    ) -> io::Result<()> {
        if self.delivered.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let waiting = self.waiting.clone();
        let work = move || loop {
            match waiting.next() {
                Job::Send(said) => send(said),
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
        let mut backlog = self.waiting.backlog();
        backlog.tell_missing();
        // There is always room for this one.
        self.waiting.add(backlog, Job::Tell(tell));
        told.recv_timeout(limits::LOG_FLUSH_TIME).is_ok()
    }
}

impl<R> Waiting<R> {
    fn add(&self, mut backlog: MutexGuard<'_, Backlog<R>>, job: Job<R>) {
        backlog.jobs.push_back(job);
        drop(backlog);
        self.news.notify_one();
    }

    /// Waits for one.
    fn next(&self) -> Job<R> {
        let mut backlog = self.backlog();
        loop {
            if let Some(job) = backlog.jobs.pop_front() {
                if backlog.jobs.len() <= self.most / 2 {
                    backlog.tell_missing();
                }
                if backlog.jobs.is_empty() {
                    // A crowd's room is not kept for the next one.
                    backlog.jobs.shrink_to(limits::LOG_QUEUE);
                }
                return job;
            }
            backlog = self
                .news
                .wait(backlog)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog<R>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Backlog<R> {
    /// Puts their number where they would stand.
    fn tell_missing(&mut self) {
        let missing = mem::take(&mut self.missing);
        if missing > 0 {
            self.jobs.push_back(Job::Send(Said::Missing(missing)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::{Job, Queue, Said};

    fn shown(said: &Said<u32>) -> String {
        match said {
            Said::Record(number) => number.to_string(),
            Said::Missing(count) => format!("{count} missing"),
        }
    }

    fn heard(sent: &Receiver<String>) -> String {
        sent.try_iter().collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_has_room_is_sent_in_order_and_the_rest_is_counted() {
        let queue = Queue::new(3);
        (0..5).for_each(|number| queue.push(number));
        let (send, sent) = channel();
        let send = move |said| send.send(shown(&said)).unwrap();
        queue.deliver("test", send).unwrap();
        // Full as it is, the end waits for all of it.
        assert!(queue.flush());
        queue.push(5);
        assert!(queue.flush());
        assert_eq!(heard(&sent), "0, 1, 2, 2 missing, 5");
    }

    #[test]
    fn a_reader_that_is_a_little_too_slow_is_told_of_gaps_and_not_behind_each_record() {
        let queue = Queue::new(4);
        let next = || match queue.waiting.next() {
            Job::Send(said) => shown(&said),
            Job::Tell(_) => "end".into(),
        };
        (0..5).for_each(|number| queue.push(number));
        for number in 5..8 {
            assert_eq!(next(), (number - 5).to_string());
            queue.push(number);
        }
        let rest: Vec<String> = (0..4).map(|_| next()).collect();
        assert_eq!(rest.join(", "), "3, 2 missing, 6, 7");
    }
}
