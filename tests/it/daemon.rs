//! Into the background, as scripts and init files had it.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::backend;
use crate::bridge::{Bridge, under};
use crate::machine::apart;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};

const LISTEN: &str = "127.0.0.1:{port}";

/// The daemon whose id is in a file; it ends with this value.
struct Daemon {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Daemon {
    fn of(pid_file: &Path) -> Self {
        let text = fs::read_to_string(pid_file).unwrap();
        let id = text.strip_suffix('\n').unwrap().parse().unwrap();
        let pid = Pid::from_raw(id).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        Self { pid, pidfd }
    }

    /// Asks it to end, and returns when it has.
    fn end(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::TERM);
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: DEADLINE.as_secs().try_into().unwrap(),
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut ended, Some(&limit)), Ok(1), "no end in time");
    }

    fn proc(&self, name: &str) -> std::path::PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

/// Starts a daemon in `folder`, with `pid` there; whoever started it has gone.
fn daemon(folder: &Path, options: &[&str], target: &str) -> (Bridge, Daemon) {
    let args = [&["-D", "--pid-file=pid"], options, &[LISTEN, target]].concat();
    let starter = Bridge::spawn_with(&args, |command| command.current_dir(folder));
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
    (starter, Daemon::of(&folder.join("pid")))
}

/// The session in a process's stat file, by proc(5): 0 where its leader is of another namespace.
fn session(stat: &Path) -> String {
    let stat = fs::read_to_string(stat).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(3).unwrap().to_owned()
}

#[test]
fn it_serves_as_soon_as_its_starter_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--log-file=log"];
    let target = backend::echo().to_string();
    let (starter, daemon) = daemon(folder.path(), &options, &target);
    Ws::open(starter.addr()).expect_echo("hello");
    // Paths are those of the folder in which it was started.
    daemon.end();
    assert!(!folder.path().join("pid").exists());
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    for part in [" listening on ", " session client="] {
        assert!(log.contains(part), "no {part} in {log}");
    }
    assert!(TcpStream::connect(starter.addr()).is_err());
}

#[test]
fn it_keeps_nothing_of_its_starter() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "-D",
        "--pid-file=pid",
        "--log-file=log",
        LISTEN,
        "127.0.0.1:1",
    ];
    let starter = Bridge::spawn_with(&args, |command| {
        let words = ["sh", "-c", "exec 9>lock; exec \"$@\"", "sh"];
        under(&words, command).current_dir(&folder)
    });
    // That its output has an end says that the daemon has let go of it.
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
    let daemon = Daemon::of(&folder.path().join("pid"));
    let open: Vec<_> = fs::read_dir(daemon.proc("fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .collect();
    assert!(!open.iter().any(|path| path.ends_with("lock")), "{open:?}");
    for stream in ["fd/0", "fd/1", "fd/2"] {
        let path = fs::read_link(daemon.proc(stream)).unwrap();
        assert_eq!(path, Path::new("/dev/null"), "{stream}");
    }
    // Neither the leader of a session, which could get a terminal, nor in its starter's.
    let session = session(&daemon.proc("stat"));
    assert_ne!(session, daemon.pid.to_string());
    assert_ne!(session, self::session(Path::new("/proc/self/stat")));
    let leader = Path::new("/proc").join(session);
    assert!(!leader.exists(), "the leader lives");
}

/// Then the kernel keeps no child's status.
#[test]
fn its_starter_may_be_started_by_who_ignores_the_end_of_children() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["-D", "--pid-file=pid", LISTEN, "127.0.0.1:1"];
    let starter = Bridge::spawn_with(&args, |command| {
        let program = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); \
                       os.execvp(sys.argv[1], sys.argv[1:])";
        under(&["python3", "-c", program], command).current_dir(&folder)
    });
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
    Daemon::of(&folder.path().join("pid")).end();
}

#[test]
fn why_it_does_not_serve_is_told() {
    let taken = backend::echo().to_string();
    let starter = Bridge::spawn(&["-D", &taken, "127.0.0.1:1"]);
    assert_eq!(starter.wait().code(), Some(1));
    let said = starter.stderr();
    assert!(said.contains("cannot listen on 127.0.0.1"), "{said}");
    assert!(said.contains("in use"), "{said}");
    for args in [["-D", "nonsense", "127.0.0.1:1"], ["-D", "--inetd", "h:1"]] {
        assert_eq!(Bridge::spawn(&args).wait().code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_pid_file_of_somebody_who_lives_is_respected() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--log-file=log"];
    let (_, first) = daemon(folder.path(), &options, "127.0.0.1:1");
    let args = ["-D", "--pid-file=pid", LISTEN, "127.0.0.1:1"];
    let second = Bridge::spawn_with(&args, |command| command.current_dir(&folder));
    assert_eq!(second.wait().code(), Some(1));
    let line = format!("--pid-file pid: process {} has it", first.pid);
    assert!(second.stderr().contains(&line), "{}", second.stderr());
    assert_eq!(Daemon::of(&folder.path().join("pid")).pid, first.pid);
    // Somebody else's file in its place is somebody else's.
    fs::remove_file(folder.path().join("pid")).unwrap();
    fs::write(folder.path().join("pid"), "1\n").unwrap();
    first.end();
    let left = fs::read_to_string(folder.path().join("pid")).unwrap();
    assert_eq!(left, "1\n");
}

#[test]
fn a_pid_file_that_was_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    // A number that lives, as it may after a restart of the machine, and one with more digits.
    for left in ["1\n", "123456789012345\n", ""] {
        fs::write(&path, left).unwrap();
        let option = format!("--pid-file={}", path.display());
        let bridge = Bridge::start(&[&option, LISTEN, "127.0.0.1:1"]);
        let own = format!("{}\n", bridge.pid().as_raw_nonzero());
        assert_eq!(fs::read_to_string(&path).unwrap(), own);
        bridge.terminate();
        bridge.wait();
        assert!(!path.exists());
    }
}

#[test]
fn what_is_no_pid_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "precious\n").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
    for path in [&file, &link, &folder.path().to_owned()] {
        let option = format!("--pid-file={}", path.display());
        let bridge = Bridge::spawn(&[&option, LISTEN, "127.0.0.1:1"]);
        assert_eq!(bridge.wait().code(), Some(1), "{option}");
        let said = bridge.stderr();
        assert!(said.contains(&option.replace('=', " ")), "{said}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious\n");
    assert!(!folder.path().join("elsewhere").exists());
}

/// A machine with a log server, and no word about it.
#[test]
fn its_log_goes_to_the_log_server_of_the_machine() {
    let name = "daemon::its_log_goes_to_the_log_server_of_the_machine";
    let Some(words) = apart("--mount", name) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = UnixDatagram::bind(folder.path().join("log")).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let script = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && mkdir dev && mount --rbind /dev dev && mount -t tmpfs tmpfs /dev && \
                  touch /dev/null && mount --bind dev/null /dev/null && \
                  ln -s \"$PWD/log\" /dev/log && exec \"$@\"";
    let args = ["-D", "--pid-file=pid", LISTEN, "127.0.0.1:1"];
    let starter = Bridge::spawn_with(&args, |command| {
        let words = [words.as_slice(), &["sh", "-c", script, "sh"]].concat();
        under(&words, command).current_dir(&folder)
    });
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
    let daemon = Daemon::of(&folder.path().join("pid"));
    let mut buffer = [0; 4096];
    let size = server.recv(&mut buffer).unwrap();
    let record = String::from_utf8_lossy(&buffer[..size]);
    // Facility daemon, as journald and every syslogd read it.
    let head = format!("<30>websockify[{}]: listening on ", daemon.pid);
    assert!(record.starts_with(&head), "{record}");
    // Standard error is the journal here, which reads that socket, too.
    assert_eq!(starter.stderr(), "");
}

/// The first process of a container has no parent that it could name.
#[test]
fn it_is_started_by_a_process_without_a_parent() {
    let name = "daemon::it_is_started_by_a_process_without_a_parent";
    let Some(words) = apart("--pid", name) else {
        return;
    };
    let words = [words.as_slice(), &["--fork"]].concat();
    let args = ["-D", LISTEN, "127.0.0.1:1"];
    let starter = Bridge::spawn_with(&args, |command| under(&words, command));
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
    // Its word is for its starter.
    assert_eq!(starter.stdout(), "");
}

/// A daemon that closes what it logs to hands its number to the next client.
#[test]
fn its_log_gets_into_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let option = format!("--syslog={}", server.local_addr().unwrap());
    let target = backend::echo().to_string();
    let (starter, daemon) = daemon(folder.path(), &["-v", &option], &target);
    let mut client = Ws::open(starter.addr());
    client.expect_echo("nothing before this, and nothing else");
    client.send(&Frame::close(1000, ""));
    let end = client.end();
    assert!(end.data.is_empty(), "{:?}", end.data);
    daemon.end();
    let mut buffer = [0; 4096];
    let mut said = String::new();
    while !said.contains(" session client=") {
        let size = server.recv(&mut buffer).unwrap();
        said += &String::from_utf8_lossy(&buffer[..size]);
    }
}
