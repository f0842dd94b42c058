//! `--record`: what was said in a session, in a file that noVNC's playback reads.
//!
//! A session hands copies over and never waits: one thread, [`writer`], owns all files. What waits
//! for it is bounded, for each session and in all. Who goes over the bound, because the disk is
//! slower than the session, loses the recording and nothing else. [`script`] is the format.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod script;
mod writer;

use std::fmt;
use std::future::poll_fn;
use std::path::{self, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::task::{Context, Poll, Waker};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::error::Failure;
use crate::handover::any_path;
use crate::handover::moment::Moment;
use crate::limits;
use writer::{Job, Work};

/// Where recordings go: `FILE.1`, `FILE.2` and so on.
#[derive(Debug)]
pub struct Destination(PathBuf);

impl Destination {
    /// Looks whether files can be made there.
    ///
    /// # Errors
    /// One sentence that names the folder.
    pub fn new(file: &path::Path) -> Result<Self, Failure> {
        let cannot = |why| {
            Failure::start(format!(
                "--record: cannot write {}.1: {why}",
                file.display()
            ))
        };
        let file = path::absolute(file).map_err(|error| cannot(error.to_string()))?;
        let folder = file.parent().unwrap_or(&file);
        access(folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| cannot(std::io::Error::from(error).to_string()))?;
        Ok(Self(file))
    }
}

/// Records sessions.
#[derive(Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The kernel has no thread for us.
    pub fn start(to: Destination) -> Result<Self, Failure> {
        Self::start_with(move || Some(to))
    }

    /// Starts it for a test, which says when it begins to write, and where.
    #[cfg(test)]
    pub(crate) fn start_late() -> (Self, mpsc::Sender<Destination>) {
        let (begin, to) = mpsc::channel();
        let recorder = Self::start_with(move || to.recv().ok());
        (recorder.unwrap(), begin)
    }

    fn start_with(
        to: impl FnOnce() -> Option<Destination> + Send + 'static,
    ) -> Result<Self, Failure> {
        let (queue, jobs) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let total = waiting.clone();
        let work = move || {
            if let Some(to) = to() {
                writer::run(&to.0, &jobs, &total);
            }
        };
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(work)
            .map_err(|error| Failure::start(format!("cannot start: {error}")))?;
        Ok(Self { queue, waiting })
    }

    /// Begins to record a session of `client`; its time is counted from here.
    pub fn begin(&self, client: &impl fmt::Display) -> Recording {
        self.record(client, OnceLock::new(), Instant::now())
    }

    /// Goes on with the recording of an earlier process.
    pub fn resume(&self, position: Position, client: &impl fmt::Display) -> Recording {
        self.record(client, position.file.into(), position.began.into())
    }

    fn record(
        &self,
        client: &impl fmt::Display,
        file: OnceLock<PathBuf>,
        began: Instant,
    ) -> Recording {
        let recording = Recording {
            session: Arc::new(Session {
                client: client.to_string(),
                file,
                waiting: AtomicUsize::new(0),
                over: AtomicBool::new(false),
                waiter: Mutex::new(None),
            }),
            queue: self.queue.clone(),
            waiting: self.waiting.clone(),
            began,
        };
        if recording.has_room(0) {
            recording.send(Work::Begin);
        }
        recording
    }

    /// Has all files ended in good order. Returns when they are, or after
    /// [`limits::RECORD_END_TIME`].
    pub async fn finish(&self) {
        let (done, all) = oneshot::channel();
        // A thread that is gone has nothing more to write.
        let _ = self.queue.send(Job::Finish(done));
        if timeout(limits::RECORD_END_TIME, all).await.is_err() {
            log::warn!("recordings are not whole: the disk is too slow");
        }
    }
}

/// Where a recording is kept, for another process to go on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Its file.
    #[serde(with = "any_path")]
    file: PathBuf,
    /// When its time began to be counted.
    began: Moment,
}

/// What a session and the writer know of each other.
#[derive(Debug)]
struct Session {
    client: String,
    /// Its file, once it is open.
    file: OnceLock<PathBuf>,
    /// Bytes of this session that wait for the writer.
    waiting: AtomicUsize,
    /// Nothing more is recorded.
    over: AtomicBool,
    /// Who is told when nothing waits any more.
    waiter: Mutex<Option<Waker>>,
}

impl Session {
    /// Ends the recording before its session, which is told once.
    fn give_up(&self, why: &impl fmt::Display) {
        if !self.over.swap(true, Ordering::Relaxed) {
            log::warn!("{self} ended early: {why}");
        }
    }

    /// The writer has done what takes so much of the bound.
    fn done(&self, size: usize) {
        // What it has found out is seen by whoever sees this.
        if self.waiting.fetch_sub(size, Ordering::AcqRel) == size {
            if let Some(waiter) = self.waiter().take() {
                waiter.wake();
            }
        }
    }

    fn is_written(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    fn waiter(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recording client={}", self.client)?;
        match self.file.get() {
            Some(file) => write!(f, " file={}", file.display()),
            None => Ok(()),
        }
    }
}

/// The recording of one session, which ends with this value.
#[derive(Debug)]
pub struct Recording {
    session: Arc<Session>,
    queue: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
    began: Instant,
}

impl Recording {
    /// Where it is kept, if all of it is there: who goes on with it would leave a hole otherwise.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        if !self.session.is_written() || self.is_over() {
            return None;
        }
        Some(Position {
            file: self.session.file.get()?.clone(),
            began: self.began.into(),
        })
    }

    /// Whether it has ended before its session.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.session.over.load(Ordering::Relaxed)
    }

    /// Ready when nothing of it waits for the disk.
    pub fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Before the look, or the writer may be done in between.
        *self.session.waiter() = Some(cx.waker().clone());
        if self.session.is_written() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Waits for that. A disk that takes more than [`limits::RECORD_LEAVE_TIME`] ends the recording.
    pub async fn written(&self) {
        let written = poll_fn(|cx| self.poll_written(cx));
        if timeout(limits::RECORD_LEAVE_TIME, written).await.is_err() {
            self.give_up_on_disk();
        }
    }

    /// Records what the client sent; `ends` says where in it its messages end.
    pub fn client_said(&self, bytes: &[u8], ends: &[usize]) {
        if bytes.is_empty() && ends.is_empty() || !self.has_room(bytes.len() + size_of_val(ends)) {
            return;
        }
        let millis = self.millis();
        let (bytes, ends) = (bytes.into(), ends.into());
        self.send(Work::FromClient {
            millis,
            bytes,
            ends,
        });
    }

    /// Records one frame for the client.
    pub fn target_said(&self, frame: &[u8]) {
        if self.has_room(frame.len()) {
            let millis = self.millis();
            let frame = frame.into();
            self.send(Work::FromTarget { millis, frame });
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the writer has kept up so far.
    fn has_room(&self, size: usize) -> bool {
        if self.is_over() {
            return false;
        }
        let mine = self.session.waiting.load(Ordering::Relaxed) + size;
        let all = self.waiting.load(Ordering::Relaxed) + size;
        if mine > limits::RECORD_BACKLOG || all > limits::RECORD_BACKLOG_OF_ALL {
            self.give_up_on_disk();
            return false;
        }
        true
    }

    fn give_up_on_disk(&self) {
        self.session.give_up(&"the disk is too slow");
        self.send(Work::End);
    }

    fn send(&self, work: Work) {
        let size = work.size();
        self.session.waiting.fetch_add(size, Ordering::Relaxed);
        self.waiting.fetch_add(size, Ordering::Relaxed);
        let session = self.session.clone();
        // Only a panic ends the thread before the program, and that has been logged.
        let _ = self.queue.send(Job::For(session, work));
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.is_over() {
            self.send(Work::End);
        }
    }
}
