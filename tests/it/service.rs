//! Our program as a service: under a manager that passes it a listening socket and whatever its last
//! run has stored, as systemd does (sd_listen_fds(3), sd_notify(3)).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::{pread, pwrite};
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use tempfile::TempDir;

use crate::process::{DEADLINE, Process};

const OURS: &str = env!("CARGO_BIN_EXE_websockify");

/// A service that is running.
#[derive(Debug)]
pub(crate) struct Service {
    process: Process,
    listener: TcpListener,
    args: Vec<String>,
    /// Descriptors that the manager keeps.
    size: usize,
    folder: TempDir,
    runs: u32,
}

impl Service {
    /// Starts it and returns when it is ready.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::with_store(4096, args)
    }

    /// Like [`Service::start`], where the manager keeps no more than `size` descriptors.
    pub(crate) fn with_store(size: usize, args: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let process = run(&listener, Vec::new(), size, &args, &folder, 0);
        Self {
            process,
            listener,
            args,
            size,
            folder,
            runs: 1,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The present run.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until this many sessions are stored.
    pub(crate) fn wait_for_stored(&self, sessions: usize) {
        self.process.wait_until("stored sessions", |seen| {
            (seen.stored.len() == 3 * sessions).then_some(())
        });
    }

    /// Restarts it as the manager does, and returns when it is ready; `meanwhile` happens while there
    /// is no process.
    pub(crate) fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.process.signal(Signal::USR2);
        assert_eq!(self.process.wait().code(), Some(75));
        self.start_anew(meanwhile);
    }

    /// Lets the manager keep so many descriptors from the next run on.
    pub(crate) fn resize_store(&mut self, size: usize) {
        self.size = size;
    }

    /// From now on it cannot write to a file behind this place, nor to memory that is one: EFBIG,
    /// setrlimit(2).
    pub(crate) fn limit_files(&self, size: u64) {
        let size = Rlimit {
            current: Some(size),
            maximum: Some(size),
        };
        prlimit(Some(self.process.pid()), Resource::Fsize, size).unwrap();
    }

    /// Waits until nothing moves in any session.
    pub(crate) fn wait_for_rest(&self) {
        self.wait_for_states("rest", |state| state.starts_with(b"wsstill\n"));
    }

    /// Waits until the states of all sessions are so.
    pub(crate) fn wait_for_states(&self, what: &str, is: impl Fn(&[u8]) -> bool) {
        let began = Instant::now();
        let fits = |(_, descriptor): &(String, OwnedFd)| {
            let mut state = [0; 4096];
            // Sockets have no bytes at a place.
            pread(descriptor, &mut state, 0).is_err() || is(&state)
        };
        self.process.wait_until(what, |seen| {
            // Its memory tells nobody of a change.
            while !seen.stored.iter().all(fits) {
                assert!(began.elapsed() < DEADLINE, "never: {what}");
                thread::yield_now();
            }
            Some(())
        });
    }

    /// Ends it without a word, once all sessions are at rest, and starts it anew.
    pub(crate) fn kill_still(&mut self, meanwhile: impl FnOnce()) {
        self.wait_for_rest();
        self.process.signal(Signal::KILL);
        self.process.wait();
        self.start_anew(meanwhile);
    }

    /// Ends it without a word, and starts it anew when in the states of these sessions bytes were
    /// written at these places.
    pub(crate) fn kill_after_writing(&mut self, changes: &[(u64, u64, &[u8])]) {
        self.process.signal(Signal::KILL);
        self.process.wait();
        let stored = self.process.take_stored();
        for (number, at, bytes) in changes {
            let ours = |name: &str| name.starts_with(&format!("session-{number}-"));
            let memory = stored.iter().filter(|(name, _)| ours(name));
            let written = memory.filter(|(_, it)| pwrite(it, bytes, *at).is_ok());
            assert_eq!(written.count(), 1);
        }
        self.process.put_stored(stored);
        self.start_anew(|| {});
    }

    /// Starts it after it has ended.
    pub(crate) fn start_anew(&mut self, meanwhile: impl FnOnce()) {
        // Of a test that fails.
        eprintln!("run {}: {}", self.runs - 1, self.process);
        meanwhile();
        let stored = self.process.take_stored();
        let (args, folder) = (&self.args, &self.folder);
        self.process = run(&self.listener, stored, self.size, args, folder, self.runs);
        self.runs += 1;
    }
}

impl AsRef<Process> for Service {
    fn as_ref(&self) -> &Process {
        &self.process
    }
}

fn run(
    listener: &TcpListener,
    stored: Vec<(String, OwnedFd)>,
    size: usize,
    args: &[String],
    folder: &TempDir,
    runs: u32,
) -> Process {
    let mut names = String::from("web");
    let mut passed: Vec<OwnedFd> = vec![listener.try_clone().unwrap().into()];
    // The manager keeps no order either.
    for (name, descriptor) in stored.iter().rev() {
        names += &format!(":{name}");
        passed.push(descriptor.try_clone().unwrap());
    }
    let mut command = Command::new("sh");
    command
        // A signal that is ignored stays so: see `limit_files`.
        .args(["-c", "trap '' XFSZ; LISTEN_PID=$$ exec \"$@\"", "sh", OURS])
        .args(args)
        .env("LISTEN_FDS", passed.len().to_string())
        .env("LISTEN_FDNAMES", names)
        .env("FDSTORE", size.to_string())
        .env_remove("WEBSOCKIFY_PYTHON")
        .stdin(Stdio::null());
    let numbers = 3..;
    let mappings = passed
        .into_iter()
        .zip(numbers)
        .map(|(parent_fd, child_fd)| FdMapping {
            parent_fd,
            child_fd,
        });
    command.fd_mappings(mappings.collect()).unwrap();
    let notify = folder.path().join(format!("notify-{runs}"));
    let process = Process::spawn_after(&mut command, Some(notify), stored);
    process.wait_until("READY=1", |seen| {
        assert!(seen.status.is_none(), "it ended: {}", seen.stderr);
        seen.notices
            .lines()
            .any(|line| line == "READY=1")
            .then_some(())
    });
    process
}
