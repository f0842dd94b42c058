//! --pid-file: for whoever wants to send us a signal.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::error::Failure;

/// How often a file is opened that others remove at the same moment.
const TRIES: usize = 10;

/// Longer than any process id with its line's end.
const LONGEST: u64 = 32;

/// A file with our process id; removed when this is dropped. While we live, we hold a lock on it
/// (flock(2)), so that a file that was left behind is told from one in use, whatever process has
/// the number in it by now.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Writes the file.
    ///
    /// # Errors
    /// Another of us has it, or it is something else.
    pub fn write(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::start(format!("--pid-file {}: {error}", path.display()));
        for _ in 0..TRIES {
            let mut file = open(path).map_err(failed)?;
            // Whoever has just ended removes its file, maybe the one that we have opened.
            if is_at(&file, path) {
                let id = format!("{}\n", std::process::id());
                file.set_len(0)
                    .and_then(|()| file.write_all(id.as_bytes()))
                    .map_err(failed)?;
                return Ok(Self {
                    path: path.to_owned(),
                    file,
                });
            }
        }
        Err(failed(io::Error::other("others replace it all the time")))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens and locks what is there, or a new file, and looks whether it was one of these.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)?;
    let mut text = String::new();
    let is_ours = file.metadata()?.is_file()
        && (&file).take(LONGEST).read_to_string(&mut text).is_ok()
        && text.trim_end().bytes().all(|byte| byte.is_ascii_digit());
    if !is_ours {
        return Err(io::Error::other(
            "something that is not a process id is there",
        ));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(io::Error::other(format!(
            "process {} has it",
            text.trim_end()
        ))),
        locked => locked.map(|()| file).map_err(Into::into),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let place = |found: fs::Metadata| (found.dev(), found.ino());
    let ours = file.metadata().map(place).ok();
    ours.is_some() && fs::symlink_metadata(path).map(place).ok() == ours
}
