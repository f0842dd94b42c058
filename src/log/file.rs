//! --log-file: each record is a line behind its time. It is written by whoever has something to say,
//! so it should be a file: a pipe makes sessions wait while nobody reads it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use time::OffsetDateTime;

use crate::error::Failure;

pub(super) struct LogFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    /// Records that the file did not take, and why.
    missing: Option<(u64, io::Error)>,
    /// Whether it took a part of one: a disk may become full in the middle of a line.
    torn: bool,
}

impl LogFile {
    /// Opens the file, or begins it; its group may read it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let absolute = std::path::absolute(path).map_err(|error| failed(path, &error))?;
        let file = append_to(&absolute).map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: absolute,
            state: Mutex::new(State {
                file,
                missing: None,
                torn: false,
            }),
        })
    }

    pub(super) fn write(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::from(if state.torn { "\n" } else { "" });
        if let Some((count, why)) = &state.missing {
            lines += &line(&format!("{count} records are missing here: {why}"));
        }
        lines += &line(text);
        match (put(&state.file, lines.as_bytes()), &mut state.missing) {
            (Ok(()), missing) => (*missing, state.torn) = (None, false),
            (Err((some, error)), missing) => {
                let (count, _) = missing.get_or_insert((0, error));
                *count += 1;
                // What was torn already stays so until its line is ended.
                state.torn |= some;
            }
        }
    }

    /// Goes on in the file that has the name now; logrotate(8) has given the old one another. Where
    /// that fails, the old one it is.
    pub(super) fn reopen(&self) -> Result<(), String> {
        let file = append_to(&self.path)
            .map_err(|error| format!("--log-file {}: {error}", self.path.display()))?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.file, state.torn) = (file, false);
        Ok(())
    }
}

/// Looks whether it could be opened or begun, and does neither: whose it then is depends on who
/// begins it.
pub(super) fn judge(path: &Path) -> Result<(), Failure> {
    let absolute = std::path::absolute(path).map_err(|error| failed(path, &error))?;
    let judged = if absolute.is_dir() {
        Err(Errno::ISDIR)
    } else {
        match (access(&absolute, Access::WRITE_OK), absolute.parent()) {
            (Err(Errno::NOENT), Some(folder)) => access(folder, Access::WRITE_OK | Access::EXEC_OK),
            (judged, _) => judged,
        }
    };
    judged.map_err(|error| failed(path, &error.into()))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::start(format!("--log-file {}: {error}", path.display()))
}

fn append_to(path: &Path) -> io::Result<File> {
    File::options()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// Writes at once, so that lines of several programs do not mix; an error comes with whether some of
/// it was taken.
fn put(mut file: &File, mut bytes: &[u8]) -> Result<(), (bool, io::Error)> {
    let all = bytes.len();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(written @ 1..) => bytes = &bytes[written..],
            Ok(_) => return Err((bytes.len() < all, io::ErrorKind::WriteZero.into())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((bytes.len() < all, error)),
        }
    }
    Ok(())
}

fn line(text: &str) -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second) = now.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}Z {text}\n", now.date())
}
