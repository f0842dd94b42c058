//! The thread that owns the files of all recordings, so that a disk that hangs holds up this
//! thread and no session.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::Session;
use super::script::{self, Script};

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    For(Arc<Session>, Work),
    /// End all files, say so, and end.
    Finish(oneshot::Sender<()>),
}

/// The same for one session.
#[derive(Debug)]
pub(super) enum Work {
    Begin,
    FromClient {
        millis: u64,
        bytes: Box<[u8]>,
        ends: Box<[usize]>,
    },
    FromTarget {
        millis: u64,
        frame: Box<[u8]>,
    },
    End,
}

impl Work {
    /// What it takes of the queue's bound: memory, also that of a session whose end waits here.
    pub(super) fn size(&self) -> usize {
        size_of::<Job>()
            + match self {
                Self::Begin => 4 * size_of::<Session>(),
                Self::End => 0,
                Self::FromClient { bytes, ends, .. } => bytes.len() + size_of_val(&**ends),
                Self::FromTarget { frame, .. } => frame.len(),
            }
    }
}

/// Works until everything that could ask for more is gone, or it is told to finish.
pub(super) fn run(base: &Path, jobs: &Receiver<Job>, waiting: &AtomicUsize) {
    let mut tapes = HashMap::new();
    let mut next = 1;
    let mut text = Vec::new();
    while let Ok(job) = jobs.recv() {
        let (session, work) = match job {
            Job::For(session, work) => (session, work),
            Job::Finish(done) => {
                for (_, tape) in tapes.drain() {
                    finish(tape, &mut text);
                }
                let _ = done.send(());
                return;
            }
        };
        let size = work.size();
        let key = Arc::as_ptr(&session);
        match work {
            Work::Begin => match begin(&session, base, &mut next, &mut text) {
                Ok(tape) => {
                    tapes.insert(key, (tape, session.clone()));
                }
                Err(error) => session.give_up(&error),
            },
            Work::End => {
                if let Some(tape) = tapes.remove(&key) {
                    finish(tape, &mut text);
                }
            }
            more => {
                if let Some((tape, _)) = tapes.get_mut(&key) {
                    if let Err(error) = tape.write(&more, &mut text) {
                        session.give_up(&error);
                        tapes.remove(&key);
                    }
                }
            }
        }
        waiting.fetch_sub(size, Ordering::Relaxed);
        session.done(size);
    }
}

/// A session that has a file already brings it from an earlier process.
fn begin(session: &Session, base: &Path, next: &mut u64, text: &mut Vec<u8>) -> io::Result<Tape> {
    if let Some(file) = session.file.get() {
        let tape = Tape::reopen(file)?;
        log::info!("{session} goes on");
        return Ok(tape);
    }
    let (tape, file) = Tape::open(base, next, text)?;
    let _ = session.file.set(file);
    log::info!("{session} begins");
    Ok(tape)
}

fn finish((tape, session): (Tape, Arc<Session>), text: &mut Vec<u8>) {
    if let Err(error) = tape.finish(text) {
        session.give_up(&error);
    }
}

/// One recording's file. `text` is room that all of them share; it is empty between calls.
struct Tape {
    file: File,
    script: Script,
    /// Bytes in the file, and how many of them are whole lines.
    written: u64,
    whole: u64,
}

impl Tape {
    /// Makes the first file that is not there yet, from `next` on: several of us may share a name.
    fn open(base: &Path, next: &mut u64, text: &mut Vec<u8>) -> io::Result<(Self, PathBuf)> {
        loop {
            let mut name = OsString::from(base);
            name.push(format!(".{next}"));
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                // It holds whatever was typed: passwords, too.
                .mode(0o600)
                .open(&name);
            match opened {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => *next += 1,
                Err(error) => return Err(error),
                Ok(file) => {
                    *next += 1;
                    let mut tape = Self {
                        file,
                        script: Script::default(),
                        written: 0,
                        whole: 0,
                    };
                    text.extend_from_slice(script::BEGIN);
                    tape.put(text)?;
                    return Ok((tape, name.into()));
                }
            }
        }
    }

    /// Goes on behind what is there, which is all that was recorded. A process that was killed has not
    /// ended the file, nor the line of a message that was under way.
    fn reopen(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut end = end_of_lines(&file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let mut last = [0];
        file.read_exact_at(&mut last, end - 1)?;
        if last != *b"\n" {
            file.write_all(script::CLOSE)?;
            end += script::CLOSE.len() as u64;
        }
        Ok(Self {
            file,
            script: Script::default(),
            written: end,
            whole: end,
        })
    }

    fn write(&mut self, work: &Work, text: &mut Vec<u8>) -> io::Result<()> {
        match work {
            Work::FromClient {
                millis,
                bytes,
                ends,
            } => self.script.client_said(text, *millis, bytes, ends),
            Work::FromTarget { millis, frame } => self.script.target_said(text, *millis, frame),
            Work::Begin | Work::End => {}
        }
        self.put(text)
    }

    /// Ends the script.
    fn finish(mut self, text: &mut Vec<u8>) -> io::Result<()> {
        self.script.close(text);
        text.extend_from_slice(script::END);
        self.put(text)
    }

    /// Writes the text. Where that fails, as a rule for want of room, the lines that are whole are
    /// made a script that can be played.
    fn put(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let put = self.file.write_all(text);
        self.written += text.len() as u64;
        text.clear();
        if put.is_err() {
            let _ = self.file.set_len(self.whole);
            // The block of the last whole line has room for this, but for a rare edge.
            let _ = self.file.write_all_at(script::END, self.whole);
        } else if self.script.is_whole() {
            self.whole = self.written;
        }
        put
    }
}

/// Where a recording's lines end: before the line that ends it, or as much of that as is there.
fn end_of_lines(file: &File) -> io::Result<u64> {
    let mut front = [0; script::BEGIN.len()];
    file.read_exact_at(&mut front, 0)?;
    if front != script::BEGIN {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "this is no recording",
        ));
    }
    // The front is longer than the end.
    const BACK: usize = 1 + script::END.len();
    let mut back = [0; BACK];
    let length = file.metadata()?.len();
    file.read_exact_at(&mut back, length - BACK as u64)?;
    let end = (1..=script::END.len())
        .rev()
        .find(|&size| back.ends_with(&[b"\n", &script::END[..size]].concat()));
    Ok(length - end.unwrap_or(0) as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Tape;

    #[test]
    fn a_recording_is_gone_on_with_behind_all_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        const BEGIN: &str = "var VNC_frame_data = [\n";
        for (left, kept) in [
            ("'{1{a',\n'EOF'];\n", "'{1{a',\n"),
            ("'EOF'];\n", ""),
            ("", ""),
            ("'{1{a',\n'EO", "'{1{a',\n"),
            ("'{1{a',\n'", "'{1{a',\n"),
            ("'{1{\\n\\'EOF\\'];\\n',\n", "'{1{\\n\\'EOF\\'];\\n',\n"),
            // The client was in the middle of a message.
            ("'{1{a',\n'}2}b", "'{1{a',\n'}2}b',\n"),
            ("'}2}\\'EO", "'}2}\\'EO',\n"),
        ] {
            fs::write(&path, format!("{BEGIN}{left}")).unwrap();
            Tape::reopen(&path)
                .unwrap()
                .finish(&mut Vec::new())
                .unwrap();
            let now = fs::read_to_string(&path).unwrap();
            assert!(now == format!("{BEGIN}{kept}'EOF'];\n"), "{now:.99}");
        }
        for other in ["", "var VNC", "root:x:0:0:root:/root:/bin/bash\n"] {
            fs::write(&path, other).unwrap();
            assert!(Tape::reopen(&path).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }
}
