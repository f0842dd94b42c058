//! Standard error, or the journal where that is what reads it. Both can make whoever writes wait: a
//! pipe that nobody reads, a terminal that was stopped, a journal that is stuck.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::thread;

use log::{Level, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::journal::{self, Fields};
use super::queue::{Queue, Said};
use crate::limits;

pub(super) struct Stderr {
    /// Whether the journal reads it: then it gets the record itself, with fields.
    journal: bool,
    /// None before there are threads, when nobody is served who could be held up, nor where nothing
    /// waits.
    queue: OnceLock<Queue<Line>>,
}

/// One record.
struct Line {
    level: Level,
    text: String,
    /// For the journal, where it reads this.
    fields: Option<Fields>,
}

impl Stderr {
    pub(super) fn new(journal: bool) -> Self {
        Self {
            journal,
            queue: OnceLock::new(),
        }
    }

    /// From now on a thread writes.
    pub(super) fn deliver(&self) {
        if !waits(&io::stderr()) {
            return;
        }
        let (queue, journal) = (Queue::new(limits::LOG_CROWD), self.journal);
        let write = move |said: Said<Line>| match said {
            Said::Record(line) => line.put_at_last(),
            Said::Missing(count) => {
                let text = format!("{count} records are missing here: they were not read in time");
                let fields = journal.then(Fields::new);
                Line::new(Level::Warn, text, fields).put_at_last();
            }
        };
        // Without a thread we go on as we are.
        if queue.deliver("stderr", write).is_ok() {
            let _ = self.queue.set(queue);
        }
    }

    pub(super) fn write(&self, level: Level, text: &str) {
        let fields = self.journal.then(Fields::new);
        self.take(Line::new(level, text.to_owned(), fields));
    }

    /// The same with fields, for the journal.
    pub(super) fn record(&self, record: &Record<'_>, text: &str) {
        let fields = self.journal.then(|| Fields::of(record));
        self.take(Line::new(record.level(), text.to_owned(), fields));
    }

    fn take(&self, line: Line) {
        match self.queue.get() {
            Some(queue) => queue.push(line),
            None => drop(line.put()),
        }
    }

    /// Waits a little for what was written to be read.
    pub(super) fn flush(&self) {
        if let Some(queue) = self.queue.get() {
            // Nobody is left to be told otherwise.
            queue.flush();
        }
    }
}

impl Line {
    fn new(level: Level, text: String, fields: Option<Fields>) -> Self {
        Self {
            level,
            text,
            fields,
        }
    }

    /// Waits for a journal that is away. A stderr that is closed stays so.
    fn put_at_last(&self) {
        while self.put().is_err() && self.fields.is_some() {
            thread::sleep(limits::LOG_RETRY);
        }
    }

    fn put(&self) -> io::Result<()> {
        let mut priority = "";
        if let Some(fields) = &self.fields {
            if journal::send(self.level, &self.text, fields) {
                return Ok(());
            }
            priority = match self.level {
                Level::Error => "<3>",
                Level::Warn => "<4>",
                Level::Info => "<6>",
                Level::Debug | Level::Trace => "<7>",
            };
        }
        // One write, so that lines of several programs do not mix.
        put(format!("{priority}{}\n", self.text).as_bytes())
    }
}

/// Writes without std's lock, which whoever waits would keep.
fn put(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(io::stderr(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Somebody who shares it has made it so.
            Err(Errno::AGAIN) => drop(has_room(None)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes a line if it can be done soon.
pub(super) fn try_soon(line: &str) {
    if has_room(Timespec::try_from(limits::LOG_FLUSH_TIME).as_ref().ok()) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// Waits for room; without a time, for ever.
fn has_room(time: Option<&Timespec>) -> bool {
    let stderr = io::stderr();
    let mut stderr = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut stderr, time).is_ok_and(|ready| ready > 0)
}

/// Whether a write may wait for somebody to read. A disk's does not.
fn waits(stream: &(impl AsFd + IsTerminal)) -> bool {
    let kind = rustix::fs::fstat(stream).map(|it| FileType::from_raw_mode(it.st_mode));
    match kind {
        Ok(FileType::CharacterDevice) => stream.is_terminal(),
        Ok(FileType::RegularFile) | Err(_) => false,
        Ok(_) => true,
    }
}
