//! Files that can be executed (execve(2), execvp(3)): where one is found, and whose script it is.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Scripts whose interpreter is a script: the kernel's own number.
pub const INTERPRETERS: usize = 4;

/// Looks for a name without a slash in `folders`, a list as in `PATH`.
#[must_use]
pub fn find(name: &OsStr, folders: &OsStr) -> Option<PathBuf> {
    env::split_paths(folders)
        .map(|folder| folder.join(name))
        .find(|path| fs::metadata(path).is_ok_and(|it| it.is_file() && is_executable(&it)))
}

/// Whether anybody may execute it.
#[must_use]
pub fn is_executable(found: &Metadata) -> bool {
    found.mode() & 0o111 != 0
}

/// Opens a regular file to read it; never waits, whatever is there.
///
/// # Errors
/// The kernel's, and that it is something else.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(file)
}

/// The first `most` bytes of a regular file.
///
/// # Errors
/// Those of [`open`].
pub fn beginning(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The words behind `#!`, if the file is a script: its interpreter and what that is given.
#[must_use]
pub fn script(beginning: &[u8]) -> Option<Vec<&[u8]>> {
    let line = beginning.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let words = line.split(|byte| *byte == b' ' || *byte == b'\t');
    Some(words.filter(|word| !word.is_empty()).collect())
}
