//! A child process whose output, notices and end can be waited for.

use std::fmt;
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, recvmsg};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// How long a test waits for anything: far more than a loaded machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// How long a child may take to end on SIGTERM before its process group is killed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything a child has shown so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What the child told its service manager, a line each.
    pub(crate) notices: String,
    /// What the child has had stored with its service manager and not taken back.
    pub(crate) stored: Vec<(String, OwnedFd)>,
    /// Its end, once it has come and nobody can write to the two streams any more.
    pub(crate) status: Option<ExitStatus>,
}

/// A child process in a process group of its own; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    seen: Arc<Watched>,
    notify: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Watched {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// Held by who keeps the service manager from listening.
    busy: Mutex<()>,
}

impl Process {
    /// Starts `command` with captured output, and with a service manager's socket at `notify`.
    pub(crate) fn spawn(command: &mut Command, notify: Option<PathBuf>) -> Self {
        Self::spawn_after(command, notify, Vec::new())
    }

    /// Like [`Process::spawn`], where the manager has `stored` descriptors of an earlier run.
    pub(crate) fn spawn_after(
        command: &mut Command,
        notify: Option<PathBuf>,
        stored: Vec<(String, OwnedFd)>,
    ) -> Self {
        let seen = Arc::new(Watched::default());
        seen.change(|seen| seen.stored = stored);
        if let Some(path) = &notify {
            let socket = UnixDatagram::bind(path).unwrap();
            command.env("NOTIFY_SOCKET", path);
            let seen = Arc::clone(&seen);
            thread::spawn(move || note(&socket, &seen));
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let out = follow(child.stdout.take().unwrap(), &seen, |seen| &mut seen.stdout);
        let err = follow(child.stderr.take().unwrap(), &seen, |seen| &mut seen.stderr);
        let end = Arc::clone(&seen);
        thread::spawn(move || {
            let status = child.wait().unwrap();
            out.join().unwrap();
            err.join().unwrap();
            end.change(|seen| seen.status = Some(status));
        });
        Self {
            pid,
            pidfd,
            seen,
            notify,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Asks the child to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// The service manager listens to nobody until this is dropped.
    pub(crate) fn busy_manager(&self) -> MutexGuard<'_, ()> {
        self.seen.busy.lock().unwrap()
    }

    /// Sends a signal; a child that has ended already does not mind.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Returns when the child has ended and its last output has been read.
    pub(crate) fn wait(&self) -> ExitStatus {
        self.wait_until("the child's end", |seen| seen.status)
    }

    /// Returns the first line on standard error that `wanted` accepts, when it is complete.
    pub(crate) fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_until("a line on standard error", |seen| {
            let complete = seen
                .stderr
                .split_inclusive('\n')
                .filter_map(|l| l.strip_suffix('\n'));
            complete
                .into_iter()
                .find(|line| wanted(line))
                .map(str::to_owned)
        })
    }

    /// Returns when `found` finds what it looks for; panics with all output at the deadline.
    pub(crate) fn wait_until<T>(&self, what: &str, found: impl Fn(&Seen) -> Option<T>) -> T {
        self.seen
            .wait(DEADLINE, found)
            .unwrap_or_else(|| panic!("no {what} in time\n{self}"))
    }

    /// Takes over what it has had stored so far.
    pub(crate) fn take_stored(&self) -> Vec<(String, OwnedFd)> {
        std::mem::take(&mut self.seen.seen.lock().unwrap().stored)
    }

    /// Gives it back.
    pub(crate) fn put_stored(&self, stored: Vec<(String, OwnedFd)>) {
        self.seen.change(|seen| seen.stored = stored);
    }

    /// All of standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.seen.seen.lock().unwrap().stderr.clone()
    }

    /// All of standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.seen.seen.lock().unwrap().stdout.clone()
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(seen) = self.seen.seen.lock() else {
            return Ok(());
        };
        let Seen {
            stdout,
            stderr,
            notices,
            stored,
            status,
        } = &*seen;
        write!(
            f,
            "stdout: {stdout}\nstderr: {stderr}\nnotices: {notices}\n\
             stored: {stored:?}\nstatus: {status:?}"
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{self}");
        }
        self.terminate();
        if self.seen.wait(LAST_WORDS, |seen| seen.status).is_none() {
            // Python's children outlive their parent; the group's id is taken while they do.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        if let (Some(path), Ok(socket)) = (&self.notify, UnixDatagram::unbound()) {
            let _ = socket.send_to(&[], path);
        }
    }
}

impl Watched {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait<T>(&self, limit: Duration, found: impl Fn(&Seen) -> Option<T>) -> Option<T> {
        let mut result = None;
        let seen = self.seen.lock().ok()?;
        let unmet = |seen: &mut Seen| {
            result = found(seen);
            result.is_none()
        };
        drop(self.changed.wait_timeout_while(seen, limit, unmet));
        result
    }
}

/// Copies a stream into its place among what was seen, until its end.
fn follow(
    mut stream: impl Read + Send + 'static,
    seen: &Arc<Watched>,
    place: fn(&mut Seen) -> &mut String,
) -> thread::JoinHandle<()> {
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..n]);
            seen.change(|seen| place(seen).push_str(&text));
        }
    })
}

/// Copies notices until the empty one that `Drop` sends, and does what systemd does about its store.
fn note(socket: &UnixDatagram, seen: &Watched) {
    loop {
        let mut buffer = [0; 4096];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let mut bytes = [IoSliceMut::new(&mut buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let Ok(RecvMsg { bytes: n @ 1.., .. }) = recvmsg(socket, &mut bytes, &mut ancillary, flags)
        else {
            return;
        };
        drop(seen.busy.lock());
        let text = String::from_utf8_lossy(&buffer[..n]);
        let has = |wanted| text.lines().any(|line| line == wanted);
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
        seen.change(|seen| {
            for message in ancillary.drain() {
                if let (RecvAncillaryMessage::ScmRights(descriptors), true) =
                    (message, has("FDSTORE=1"))
                {
                    let name = name.unwrap_or("stored");
                    seen.stored
                        .extend(descriptors.map(|it| (name.to_owned(), it)));
                }
            }
            if has("FDSTOREREMOVE=1") {
                seen.stored.retain(|(it, _)| Some(it.as_str()) != name);
            }
            seen.notices.extend([text.trim_end(), "\n"]);
        });
    }
}
