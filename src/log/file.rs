//! --log-file: each record is a line behind its time.

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
            }),
        })
    }

    pub(super) fn write(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        if let Some((count, why)) = &state.missing {
            lines = line(&format!("{count} records are missing here: {why}"));
        }
        lines += &line(text);
        // One write, so that lines of several programs do not mix.
        match (state.file.write_all(lines.as_bytes()), &mut state.missing) {
            (Ok(()), missing) => *missing = None,
            (Err(_), Some((count, _))) => *count += 1,
            (Err(error), missing) => *missing = Some((1, error)),
        }
    }

    /// Goes on in the file that has the name now; logrotate(8) has given the old one another. Where
    /// that fails, the old one it is.
    pub(super) fn reopen(&self) -> Result<(), String> {
        let file = append_to(&self.path)
            .map_err(|error| format!("--log-file {}: {error}", self.path.display()))?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.file = file;
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

fn line(text: &str) -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second) = now.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}Z {text}\n", now.date())
}
