//! --daemon, --log-file, --syslog.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{differs, theirs};
use crate::backend;
use crate::bridge::{Bridge, under};
use crate::process::DEADLINE;
use crate::wire::Ws;

const LISTEN: &str = "127.0.0.1:{port}";

/// A daemon, found by the port on its command line; it ends with this value.
struct Daemon(Pid);

impl Daemon {
    fn on(port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let id = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
            line.split('\0').any(|word| word == listen).then_some(id)
        });
        let found: Vec<i32> = ids.collect();
        // Python's has a process for each connection, and none is left when there is none.
        assert_eq!(found.len(), 1, "{found:?}");
        Self(Pid::from_raw(found[0]).unwrap())
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.0.to_string()).join(name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pidfd = pidfd_open(self.0, PidfdFlags::empty()).unwrap();
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

/// Few descriptors: Python's daemon closes all there could be, one by one.
fn prepare<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    under(&["prlimit", "--nofile=256:256", "--"], command).current_dir(folder)
}

/// The starter ends with status 0, and the port is open.
#[test]
fn a_daemon_serves() {
    let folder = tempfile::tempdir().unwrap();
    let target = backend::echo().to_string();
    for option in ["-D", "--daemon", "-vD"] {
        let args = [option, "--log-file=log", LISTEN, &target];
        let starter = Bridge::spawn_with(&args, |command| prepare(command, folder.path()));
        assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
        let daemon = Daemon::on(starter.port());
        let here = fs::read_link(daemon.proc("cwd")).unwrap();
        let start = fs::canonicalize(&folder).unwrap();
        assert_eq!(
            here,
            differs("daemon-folder", PathBuf::from("/"), start),
            "{option}"
        );
        let status = fs::read_to_string(daemon.proc("status")).unwrap();
        let public = status.contains("Umask:\t0000\n");
        assert_eq!(public, differs("daemon-umask", true, false), "{status}");
        Ws::open(starter.addr()).expect_echo("hello");
    }
}

/// What goes wrong before the port is open is told.
#[test]
fn a_daemon_that_cannot_listen() {
    let taken = backend::echo().to_string();
    let starter = Bridge::spawn(&["-D", &taken, "127.0.0.1:1"]);
    assert_eq!(starter.wait().code(), Some(differs("start-failure", 0, 1)));
    assert!(starter.stderr().contains("in use"), "{}", starter.stderr());
}

/// inetd has its servers in the background already.
#[test]
fn a_daemon_of_inetd() {
    let socket: OwnedFd = TcpListener::bind("127.0.0.1:0").unwrap().into();
    // The target is of no use but to find the daemon by.
    let starter = Bridge::spawn_with(&["-D", "--inetd", LISTEN], |command| {
        prepare(command, Path::new("/")).stdin(socket.try_clone().unwrap())
    });
    let status = starter.wait().code();
    let _daemon = theirs().then(|| Daemon::on(starter.port()));
    assert_eq!(status, Some(differs("daemon-inetd", 0, 2)));
}

/// Standard error and the file have the same lines.
#[test]
fn log_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "before\n").unwrap();
    let option = format!("--log-file={}", path.display());
    let bridge = Bridge::start(&[&option, LISTEN, &backend::echo().to_string()]);
    let text = fs::read_to_string(&path).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "before");
    let line = rest.lines().next().unwrap();
    let timed = line.starts_with("20") && line.contains("Z ");
    assert_eq!(timed, differs("log-file-time", false, true), "{line}");
    let words = if timed {
        line.split_once(' ').unwrap().1
    } else {
        line
    };
    bridge.wait_for_line(|line| line == words);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "one that is there stays as it is");
}

fn record(options: &[&str]) -> (String, Bridge) {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let option = format!("--syslog={}", server.local_addr().unwrap());
    let args = [&[option.as_str()], options, &[LISTEN, "127.0.0.1:1"]].concat();
    let bridge = Bridge::start(&args);
    let mut buffer = [0; 4096];
    let size = server.recv(&mut buffer).unwrap();
    let record = String::from_utf8(buffer[..size].to_vec()).unwrap();
    (record, bridge)
}

/// A record of RFC 5424: priority, version, time, host, program, process, kind, data, words.
#[test]
fn syslog() {
    let (record, bridge) = record(&[]);
    let fields: Vec<&str> = record.splitn(8, ' ').collect();
    assert_eq!(fields[0], "<14>1");
    assert!(
        fields[1].starts_with("20") && fields[1].ends_with('Z'),
        "{record}"
    );
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let id = bridge.pid().as_raw_nonzero().to_string();
    assert_eq!(fields[2..5], [host.trim_end(), "websockify", &id]);
    assert_eq!(fields[5..7], [differs("syslog-kind", "-", "0"), "-"]);
    bridge.wait_for_line(|line| line == fields[7]);
}

/// What came before it has no more than priority, program and process.
#[test]
fn legacy_syslog() {
    let (record, bridge) = record(&["--legacy-syslog"]);
    let head = format!("<14>websockify[{}]: ", bridge.pid().as_raw_nonzero());
    let words = record.strip_prefix(&head).unwrap_or_default();
    bridge.wait_for_line(|line| line == words);
}

/// Options of the log that make no sense.
#[test]
fn wrong_options() {
    for (option, words) in [
        (
            "--legacy-syslog",
            "You must use --syslog to use --legacy-syslog",
        ),
        ("--syslog=localhost:port", "Error parsing syslog port"),
    ] {
        let bridge = Bridge::spawn(&[option, LISTEN, "127.0.0.1:1"]);
        assert_eq!(bridge.wait().code(), Some(2), "{option}");
        assert!(bridge.stderr().contains(words), "{}", bridge.stderr());
    }
}

/// What a daemon says when nobody has told it where.
#[test]
fn a_daemon_without_a_log() {
    let starter = Bridge::spawn_with(&["-D", LISTEN, "127.0.0.1:1"], |command| {
        prepare(command, Path::new("/"))
    });
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
    let _daemon = Daemon::on(starter.port());
    if !Path::new("/dev/log").exists() {
        let warned = starter.stderr().contains("from now on nothing is logged");
        assert_eq!(warned, differs("daemon-log", false, true));
    }
}
