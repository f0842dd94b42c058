//! The supervisor's start, before there are threads: a process that forks must not hold their locks.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Stdio};

use super::program::judge;
use super::user::User;
use super::{Mode, Options, supervisor};
use crate::beside;
use crate::error::Failure;
use crate::listener::Reserved;
use crate::target::Target;

/// A supervisor that waits for its first order.
#[derive(Debug)]
pub struct Supervised {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) wanted: u16,
    pub(super) channel: UnixStream,
    pub(super) output: (ChildStdout, ChildStderr),
    /// Nobody else gets the port while we are here, whether the program is or not.
    pub(super) reserved: Reserved,
}

/// Judges the program, chooses its port and starts the supervisor. Call it before there are threads
/// and before the sandbox, which neither the supervisor nor the program is to live in.
///
/// # Errors
/// One sentence.
pub fn start(options: Options) -> Result<Supervised, Failure> {
    let Options {
        command,
        port,
        mode,
        user,
    } = options;
    let program = command.first().map(OsString::as_os_str).unwrap_or_default();
    let found = user.as_deref().map(User::find).transpose()?;
    let (uid, gid) = match &found {
        Some(user) => (user.uid, user.gid),
        None => (
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        ),
    };
    judge(program, uid, gid)?;
    let library = library()?;
    let cannot = |error: io::Error| Failure::start(format!("cannot wrap a program: {error}"));
    let reserved = Reserved::new(port).map_err(cannot)?;
    let (channel, theirs) = UnixStream::pair().map_err(cannot)?;
    let mut child = beside::command(supervisor::WORD)
        .arg(port.to_string())
        .arg(reserved.port().to_string())
        .arg(library)
        .arg(user.unwrap_or_default())
        .args(&command)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let gone = || cannot(io::ErrorKind::BrokenPipe.into());
    let output = (
        child.stdout.take().ok_or_else(gone)?,
        child.stderr.take().ok_or_else(gone)?,
    );
    let name = Path::new(program).file_name().unwrap_or(program);
    Ok(Supervised {
        name: crate::log::escape::Escaped(&name.to_string_lossy()).to_string(),
        mode,
        wanted: port,
        channel,
        output,
        reserved,
    })
}

impl Supervised {
    /// Where the program will listen.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::Loopback(self.reserved.port())
    }
}

/// Finds `rebind.so`: where websockify looks for it, in the folders of an installation, or beside
/// this program as cargo builds both.
pub(super) fn library() -> Result<PathBuf, Failure> {
    let here = env::current_exe().map_err(|error| {
        Failure::start(format!("cannot find out where this program is: {error}"))
    })?;
    let folder = here.parent().unwrap_or(Path::new("/"));
    let library = [
        "../lib/websockify/rebind.so",
        "../lib/rebind.so",
        "../../lib/websockify/rebind.so",
        "rebind.so",
        "librebind.so",
    ]
    .iter()
    .filter_map(|place| folder.join(place).canonicalize().ok())
    .find(|path| path.is_file())
    .ok_or_else(|| {
        Failure::start(format!(
            "there is no rebind.so beside {} or in ../lib/websockify: 'make install' puts it there",
            here.display()
        ))
    })?;
    if separates(library.as_os_str()) {
        return Err(Failure::start(format!(
            "the loader (ld.so(8)) takes no library whose path has a space or a colon: {}",
            library.display()
        )));
    }
    Ok(library)
}

fn separates(path: &OsStr) -> bool {
    path.as_bytes().iter().any(|byte| b" :".contains(byte))
}

/// A pipe that was inherited as one, for the runtime that runs this.
pub(super) fn pipe(end: &impl AsFd) -> io::Result<tokio::net::unix::pipe::Receiver> {
    tokio::net::unix::pipe::Receiver::from_owned_fd(end.as_fd().try_clone_to_owned()?)
}
