//! A bridge as a child process: our program, or Python's websockify in its place.

use std::env;
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::process::Process;

/// How often a start is tried again when somebody else took the free port first.
const TRIES: usize = 5;

/// The program that the tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Theirs,
}

impl Program {
    /// What `BRIDGE_UNDER_TEST` asks for: `ours`, which is also the default, or `theirs`.
    pub(crate) fn under_test() -> Self {
        match env::var("BRIDGE_UNDER_TEST").as_deref() {
            Err(_) | Ok("ours") => Self::Ours,
            Ok("theirs") => Self::Theirs,
            Ok(other) => panic!("BRIDGE_UNDER_TEST is ours or theirs, not {other}"),
        }
    }

    /// The program without arguments, and without anything that this process inherited for it.
    fn command(self) -> Command {
        let path = match self {
            Self::Ours => env!("CARGO_BIN_EXE_websockify").into(),
            Self::Theirs => env::var_os("WEBSOCKIFY_PYTHON").unwrap_or("websockify".into()),
        };
        let mut command = Command::new(path);
        let ours = |name: &OsString| name.to_string_lossy().starts_with("WEBSOCKIFY_");
        for (name, _) in env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        for name in [
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            "NOTIFY_SOCKET",
            "RUNTIME_DIRECTORY",
        ] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }
}

/// A running bridge; it ends with this value. Its output and its end are its [`Process`]'s.
#[derive(Debug)]
pub(crate) struct Bridge {
    process: Process,
    port: u16,
    _notify: TempDir,
}

impl Bridge {
    /// Starts a bridge on a free port to `target` and returns when it is ready.
    pub(crate) fn to(target: &(impl ToString + ?Sized)) -> Self {
        Self::start(&["127.0.0.1:{port}", &target.to_string()])
    }

    /// Starts a bridge with `{port}` in its arguments replaced by a free port and returns when it
    /// is ready: when ours said so to its service manager, and theirs in its log.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, |command| command)
    }

    /// Like [`Bridge::start`], for a command that `prepare` has given more than arguments.
    pub(crate) fn start_with(
        args: &[&str],
        prepare: impl Fn(&mut Command) -> &mut Command,
    ) -> Self {
        for _ in 0..TRIES {
            let bridge = Self::spawn_with(args, &prepare);
            let ready = bridge.wait_until("sign of readiness", |seen| {
                let ready = match Program::under_test() {
                    Program::Ours => seen.notices.lines().any(|line| line == "READY=1"),
                    Program::Theirs => seen.stderr.contains("  - proxying from "),
                };
                (ready || seen.status.is_some()).then_some(ready)
            });
            if ready {
                return bridge;
            }
            let stderr = bridge.stderr();
            assert!(
                stderr.contains("in use"),
                "the bridge ended at its start: {stderr}"
            );
        }
        panic!("no free port in {TRIES} tries");
    }

    /// Like [`Bridge::start`], by way of another program that ends in becoming it.
    pub(crate) fn start_under(wrapper: &[&str], args: &[&str]) -> Self {
        Self::start_with(args, |command| under(wrapper, command))
    }

    /// Like [`Bridge::spawn`], by way of another program that ends in becoming it.
    pub(crate) fn spawn_under(wrapper: &[&str], args: &[&str]) -> Self {
        Self::spawn_with(args, |command| under(wrapper, command))
    }

    /// Starts a bridge that is not expected to become ready, such as one with wrong options.
    pub(crate) fn spawn(args: &[&str]) -> Self {
        Self::spawn_with(args, |command| command)
    }

    /// Like [`Bridge::spawn`], for a command that `prepare` has given more than arguments.
    pub(crate) fn spawn_with(
        args: &[&str],
        prepare: impl Fn(&mut Command) -> &mut Command,
    ) -> Self {
        let program = Program::under_test();
        let port = free_port();
        let args = args
            .iter()
            .map(|arg| arg.replace("{port}", &port.to_string()));
        let mut command = program.command();
        prepare(command.args(args));
        let notify = tempfile::tempdir().unwrap();
        let path = (program == Program::Ours).then(|| notify.path().join("notify"));
        Self {
            process: Process::spawn(&mut command, path),
            port,
            _notify: notify,
        }
    }

    /// The free port that took the place of `{port}`.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// That port on the IPv4 loopback.
    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

impl Deref for Bridge {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl AsRef<Process> for Bridge {
    fn as_ref(&self) -> &Process {
        &self.process
    }
}

/// Makes `command` one that runs by way of another program, which ends in becoming it; of none,
/// where there is no `wrapper`.
pub(crate) fn under<'c>(wrapper: &[&str], command: &'c mut Command) -> &'c mut Command {
    let [program, words @ ..] = wrapper else {
        return command;
    };
    let inner = std::mem::replace(command, Command::new(program));
    command
        .args(words)
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// A port that nobody listens on, each time another. It is below those that the kernel gives out by
/// itself, so no client and no target of another test has it; another program may.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(std::process::id().wrapping_mul(251));
        let port = u16::try_from(20_000 + next % 12_000).unwrap();
        if TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
