//! --daemon: into the background, and whoever started us learns how that went.
//!
//! websockify forks twice. A program that forks has to be careful about everything that it has
//! opened by then; we start ourselves anew instead, twice: the first time to leave the session of
//! the terminal, the second so that no terminal that is ever opened becomes ours again. Standard
//! error stays the starter's until clients are served, so that the reason of a failed start needs
//! no way of its own. Standard output leads to the starter, who waits for a word on it.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::setsid;

use crate::error::Failure;

/// Who a process is among the three, and the process id of the one before it: a program that a
/// daemon starts inherits the variable, and is none of them.
const ROLE: &str = "_WEBSOCKIFY_DAEMON";

/// What a daemon tells its starter.
const READY: &[u8] = b"READY\n";

/// Which part of becoming a daemon this process plays.
#[derive(Debug)]
pub enum Role {
    /// The one that was started. It serves nobody.
    Starter,
    /// The one that leaves the session and starts the daemon.
    Between,
    /// The daemon.
    Daemon(Daemon),
}

/// A daemon whose starter waits.
#[derive(Debug)]
pub struct Daemon(());

impl Role {
    /// The part of a process that was asked to become a daemon.
    #[must_use]
    pub fn find() -> Self {
        let role = env::var(ROLE).unwrap_or_default();
        let ids = Ids::read().unwrap_or_default();
        if role == of("between", &ids.parent) {
            Self::Between
        } else if role == of("daemon", &ids.session) {
            Self::Daemon(Daemon(()))
        } else {
            Self::Starter
        }
    }
}

/// Starts the daemon and returns when clients are served.
///
/// # Errors
/// They are not; the daemon has said why.
pub fn start(arguments: &[OsString]) -> Result<(), Failure> {
    let failed = |error| Failure::start(format!("--daemon: {error}"));
    // What our starter has open beside its standard streams, a lock for one, is not the daemon's.
    close_fds::set_fds_cloexec(3, &[]);
    let mut child = again(arguments, "between")
        .and_then(|mut command| command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn())
        .map_err(failed)?;
    let mut word = Vec::new();
    if let Some(stream) = &mut child.stdout {
        // Until the daemon lets go of it, by itself or by its end.
        stream.read_to_end(&mut word).map_err(failed)?;
    }
    // A starter that ignores SIGCHLD has left nobody to wait for (wait(2)); the word is what counts.
    let _ = child.wait();
    if word == READY {
        Ok(())
    } else {
        Err(Failure::start("--daemon: it ended before it was ready"))
    }
}

/// Leaves the session, with its terminal, and starts the daemon.
///
/// # Errors
/// The kernel's.
pub fn leave_session(arguments: &[OsString]) -> Result<(), Failure> {
    setsid()
        .map_err(io::Error::from)
        .and_then(|_| again(arguments, "daemon")?.spawn())
        .map(drop)
        .map_err(|error| Failure::start(format!("--daemon: {error}")))
}

/// Our ids as /proc has them, all in the one namespace that it is of: the system calls have
/// those of another, where it was not mounted anew.
#[derive(Default)]
struct Ids {
    own: String,
    parent: String,
    session: String,
}

impl Ids {
    /// By proc(5); the name, in parentheses, may hold anything.
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let (own, rest) = stat.split_once(' ')?;
        let mut fields = rest.rsplit_once(')')?.1.split_whitespace();
        Some(Self {
            own: own.to_owned(),
            parent: fields.nth(1)?.to_owned(),
            session: fields.nth(1)?.to_owned(),
        })
    }
}

fn of(role: &str, id: &str) -> String {
    format!("{role}:{id}")
}

fn again(arguments: &[OsString], role: &str) -> io::Result<Command> {
    let own = Ids::read()
        .ok_or_else(|| io::Error::other("there is no /proc/self/stat"))?
        .own;
    let mut command = Command::new(env::current_exe()?);
    let (name, rest) = arguments.split_first().unzip();
    command
        .args(rest.unwrap_or_default())
        .env(ROLE, of(role, &own));
    if let Some(name) = name {
        command.arg0(name);
    }
    Ok(command)
}

impl Daemon {
    /// Tells the starter that clients are served, and lets go of all that is its: from now on
    /// nobody reads what is printed.
    ///
    /// # Errors
    /// The starter has ended without waiting: nobody wants this daemon.
    pub fn ready(self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::start(format!("--daemon: {error}"));
        let null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map_err(failed)?;
        let mut output = io::stdout().lock();
        output
            .write_all(READY)
            .and_then(|()| output.flush())
            .map_err(|_| Failure::start("--daemon: who started it has not waited"))?;
        rustix::stdio::dup2_stdout(&null)
            .and_then(|()| rustix::stdio::dup2_stderr(&null))
            .map_err(|error| failed(error.into()))
    }
}
