//! Where the log goes beside standard error: files under logrotate, log servers.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::machine::skip;
use crate::process::{DEADLINE, Process};
use crate::wire::Ws;

const LISTEN: &str = "127.0.0.1:{port}";

/// A session from its begin to its record.
fn one_session(bridge: &Bridge, count: usize) {
    Ws::open(bridge.addr()).expect_echo("hello");
    bridge.wait_until("record of the session", |seen| {
        let records = seen.stderr.lines().filter(|l| l.starts_with("session "));
        (records.count() >= count).then_some(())
    });
}

fn said(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn every_line_is_in_the_file_behind_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, "what was there\n").unwrap();
    let option = format!("--log-file={}", log.display());
    let bridge = Bridge::start(&[&option, LISTEN, &backend::echo().to_string()]);
    one_session(&bridge, 1);
    bridge.terminate();
    bridge.wait();
    let text = said(&log);
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, "what was there");
    let timeless: String = rest
        .lines()
        .map(|line| {
            let (time, words) = line.split_once(' ').unwrap();
            assert!(time.len() == 20 && time.ends_with('Z'), "{line}");
            format!("{words}\n")
        })
        .collect();
    assert_eq!(timeless, bridge.stderr());
}

#[test]
fn a_new_file_is_not_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let _bridge = Bridge::start_with(&["--log-file=log", LISTEN, "127.0.0.1:1"], |command| {
        command.current_dir(&folder)
    });
    let mode = fs::metadata(folder.path().join("log")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o137, 0);
}

#[test]
fn a_file_that_cannot_be_written_ends_the_start() {
    let bridge = Bridge::spawn(&["--log-file=/no/such/log", LISTEN, "127.0.0.1:1"]);
    assert_eq!(bridge.wait().code(), Some(1));
    let line = "websockify: error: --log-file /no/such/log: No such file or directory";
    assert!(bridge.stderr().starts_with(line), "{}", bridge.stderr());
}

#[test]
fn why_nobody_is_served_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let taken = backend::echo().to_string();
    let option = format!("--log-file={}", log.display());
    let bridge = Bridge::spawn(&[&option, &taken, "127.0.0.1:1"]);
    assert_eq!(bridge.wait().code(), Some(1));
    assert!(said(&log).contains("in use"), "{}", said(&log));
}

#[test]
fn a_full_disk_is_told_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let option = format!("--log-file={}", log.display());
    let bridge = Bridge::start(&[&option, LISTEN, &backend::echo().to_string()]);
    fs::remove_file(&log).unwrap();
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line == "reloaded");
    let text = said(&log);
    assert!(
        text.contains("3 records are missing here: No space left on device"),
        "{text}"
    );
    assert!(text.ends_with("reloaded\n"), "{text}");
}

#[test]
fn logrotate_by_our_example_loses_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let (log, pid) = (folder.path().join("log"), folder.path().join("pid"));
    let bridge = Bridge::start(&[
        &format!("--log-file={}", log.display()),
        &format!("--pid-file={}", pid.display()),
        LISTEN,
        &backend::echo().to_string(),
    ]);
    one_session(&bridge, 1);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/logrotate/websockify");
    let example = said(&example);
    assert!(example.contains("/var/log/websockify.log") && example.contains("/run/websockify.pid"));
    let mine = example
        .replace("/var/log/websockify.log", log.to_str().unwrap())
        .replace("/run/websockify.pid", pid.to_str().unwrap());
    let file = folder.path().join("conf");
    fs::write(&file, mine).unwrap();
    // logrotate obeys files that nobody else can write, only.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let rotated = Command::new("/usr/sbin/logrotate")
        .args(["--force", "--state"])
        .args([&folder.path().join("state"), &file])
        .output();
    let Ok(rotated) = rotated else {
        let name = "logs::logrotate_by_our_example_loses_no_line";
        return skip(name, "there is no logrotate here");
    };
    assert!(rotated.status.success(), "{rotated:?}");
    bridge.wait_for_line(|line| line == "reloaded");
    one_session(&bridge, 2);
    let old = folder.path().join("log.1");
    let sessions = |path: &Path| said(path).matches(" session client=").count();
    assert_eq!((sessions(&old), sessions(&log)), (1, 1));
    assert_eq!(
        (said(&old) + &said(&log)).lines().count(),
        bridge.stderr().lines().count()
    );
}

/// Debian's log server, whose every record is a line on its standard output.
fn rsyslogd(folder: &Path, udp: u16) -> Option<Process> {
    let conf = folder.join("rsyslog.conf");
    let text = format!(
        r#"
        module(load="imuxsock" SysSock.Use="off")
        input(type="imuxsock" Socket="{socket}")
        module(load="imudp")
        input(type="imudp" address="127.0.0.1" port="{udp}")
        template(name="t" type="string" string="%pri%|%app-name%|%procid%|%msg%\n")
        if $programname != "rsyslogd" then action(type="omfile" file="/dev/stdout" template="t")
        "#,
        socket = folder.join("log").display(),
    );
    fs::write(&conf, text).unwrap();
    let mut version = Command::new("/usr/sbin/rsyslogd");
    if version.arg("-v").stdout(Stdio::null()).status().is_err() {
        return None;
    }
    let mut command = Command::new("/usr/sbin/rsyslogd");
    command
        .args(["-n", "-i", "NONE", "-f"])
        .arg(&conf)
        .stdin(Stdio::null());
    Some(Process::spawn(&mut command, None))
}

#[test]
fn rsyslogd_understands_both_kinds_of_records() {
    let folder = tempfile::tempdir().unwrap();
    let udp = free_port();
    let Some(server) = rsyslogd(folder.path(), udp) else {
        let name = "logs::rsyslogd_understands_both_kinds_of_records";
        return skip(name, "there is no rsyslogd here");
    };
    let local = folder.path().join("log").to_str().unwrap().to_owned();
    let target = backend::echo().to_string();
    // The socket first: a record for it waits for the server, and then the port is open, too.
    for options in [
        vec![format!("--syslog={local}"), "--legacy-syslog".into()],
        vec![format!("--syslog=127.0.0.1:{udp}")],
        vec![
            format!("--syslog=127.0.0.1:{udp}"),
            "--legacy-syslog".into(),
        ],
    ] {
        let mut args: Vec<&str> = options.iter().map(String::as_str).collect();
        args.extend([LISTEN, target.as_str()]);
        let bridge = Bridge::start(&args);
        one_session(&bridge, 1);
        let id = bridge.pid().as_raw_nonzero();
        let record = bridge.wait_for_line(|line| line.starts_with("session "));
        server.wait_until("record of the session", |seen| {
            let whole = |line: &str| {
                let mut parts = line.splitn(4, '|');
                parts.next() == Some("14")
                    && parts.next() == Some("websockify")
                    && parts.next() == Some(&id.to_string())
                    && parts.next().map(str::trim_start) == Some(&record)
            };
            seen.stdout.lines().any(whole).then_some(())
        });
    }
}

/// The next datagram, as text.
fn next(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let size = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..size]).into_owned()
}

#[test]
fn datagrams_to_an_ipv6_port() {
    let Ok(server) = UdpSocket::bind("[::1]:0") else {
        return skip("logs::datagrams_to_an_ipv6_port", "there is no IPv6 here");
    };
    let option = format!("--syslog={}", server.local_addr().unwrap());
    let bridge = Bridge::start(&[&option, LISTEN, "127.0.0.1:1"]);
    let record = next(&server);
    assert!(record.starts_with("<14>1 2"), "{record}");
    let tail = format!(
        " websockify {} 0 - listening on {}",
        bridge.pid().as_raw_nonzero(),
        bridge.addr()
    );
    assert!(record.ends_with(&tail), "{record}");
}

#[test]
fn a_stream_socket_gets_a_line_for_each_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let server = UnixListener::bind(&path).unwrap();
    let option = format!("--syslog={}", path.display());
    let bridge = Bridge::start(&[&option, "--legacy-syslog", LISTEN, "127.0.0.1:1"]);
    let (stream, _) = server.accept().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
    let first = lines.map(Result::unwrap).next().unwrap();
    let id = bridge.pid().as_raw_nonzero();
    let wanted = format!("<14>websockify[{id}]: listening on {}", bridge.addr());
    assert_eq!(first, wanted);
}

/// A server whose queue is full and who does not read, and then does.
#[test]
fn a_stalled_log_server_stalls_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    let option = format!("--syslog={}", path.display());
    let bridge = Bridge::start(&["-v", &option, LISTEN, "127.0.0.1:1"]);
    // With -v each request is a record: more than the server's queue and ours can hold.
    let mut wire = crate::wire::Wire::connect(bridge.addr());
    for _ in 0..3000 {
        wire.request("HEAD / HTTP/1.1\r\nHost: h\r\n");
    }
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = [0; 4096];
    let missing = loop {
        let size = server.recv(&mut buffer).unwrap();
        let record = String::from_utf8_lossy(&buffer[..size]).into_owned();
        if record.contains(" records are missing here") {
            break record;
        }
    };
    assert!(missing.starts_with("<12>1 "), "{missing}");
    bridge.wait_for_line(|line| {
        line.ends_with("records are missing here: the log server did not take them")
    });
    drop(wire);
}

#[test]
fn a_log_server_that_starts_anew_gets_what_was_logged_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let option = format!("--syslog={}", path.display());
    let bridge = Bridge::start(&[&option, LISTEN, "127.0.0.1:1"]);
    bridge.wait_for_line(|line| line.starts_with(&format!("cannot log to {}", path.display())));
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = [0; 4096];
    for part in ["listening on ", "bridging to "] {
        let size = server.recv(&mut buffer).unwrap();
        let record = String::from_utf8_lossy(&buffer[..size]);
        assert!(record.contains(part), "{record}");
    }
    bridge.wait_for_line(|line| line.starts_with("logging to "));
    let trouble = bridge.stderr();
    assert_eq!(trouble.matches("cannot log to").count(), 1, "{trouble}");
}

#[test]
fn without_a_log_server_the_end_does_not_wait_for_it() {
    let option = "--syslog=/no/such/socket";
    let bridge = Bridge::start(&[option, LISTEN, "127.0.0.1:1"]);
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    bridge.wait_for_line(|line| line == "ending without the last records for /no/such/socket");
}
