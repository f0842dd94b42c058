//! How the program begins and ends, and what it tells its service manager and its log meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::backend;
use crate::bridge::Bridge;
use crate::process::Process;
use crate::wire::{Frame, Wire, Ws};

#[test]
fn sigterm_closes_every_session_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let bridge = Bridge::to(&backend::echo());
        let mut clients: Vec<Ws> = (0..5).map(|_| Ws::open(bridge.addr())).collect();
        clients
            .iter_mut()
            .for_each(|client| client.expect_echo("here"));
        let _page = Wire::connect(bridge.addr());
        bridge.signal(signal);
        for mut client in clients {
            assert_eq!(client.close(), "1001 Server shutting down");
            client.send(&Frame::close(1001, ""));
            assert!(client.wire.rest().is_empty());
        }
        assert_eq!(bridge.wait().code(), Some(0));
        let records = bridge.stderr().matches("code=1001 by=server").count();
        assert_eq!(records, 5);
    }
}

#[test]
fn clients_that_do_not_answer_the_farewell_hold_the_end_up_for_seconds_only() {
    let bridge = Bridge::to(&backend::echo());
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("here");
    let began = Instant::now();
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(4) && took < Duration::from_secs(12),
        "{took:?}"
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    let bridge = Bridge::to(&backend::echo());
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("here");
    let began = Instant::now();
    bridge.terminate();
    assert_eq!(client.close(), "1001 Server shutting down");
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn bytes_under_way_at_the_end_are_delivered_in_both_directions() {
    let (target, heard) = backend::hear("");
    let bridge = Bridge::to(&target);
    let mut client = Ws::open(bridge.addr());
    client.send(&Frame::binary("before"));
    bridge.terminate();
    assert_eq!(client.close(), "1001 Server shutting down");
    client.send(&Frame::binary(" and after the farewell"));
    client.send(&Frame::close(1000, ""));
    assert_eq!(backend::next(&heard), b"before and after the farewell");
}

#[test]
fn the_manager_hears_of_readiness_sessions_and_the_end() {
    let bridge = Bridge::to(&backend::echo());
    let target = bridge.wait_until("status", |seen| {
        let status = seen
            .notices
            .lines()
            .find_map(|line| line.strip_prefix("STATUS="))?;
        status
            .strip_prefix("0 sessions, 0 served, target ")
            .map(str::to_owned)
    });
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("here");
    bridge.wait_until("session in the status", |seen| {
        seen.notices
            .contains(&format!("STATUS=1 session, 1 served, target {target}"))
            .then_some(())
    });
    drop(client);
    bridge.wait_until("its end", |seen| {
        seen.notices
            .contains("STATUS=0 sessions, 1 served")
            .then_some(())
    });
    bridge.terminate();
    bridge.wait();
    bridge.wait_until("goodbye", |seen| {
        seen.notices.contains("STOPPING=1").then_some(())
    });
}

#[test]
fn a_session_leaves_one_record() {
    let bridge = Bridge::to(&backend::say("four"));
    let mut client = Ws::open(bridge.addr());
    assert_eq!(client.end().close, "1000 Target closed");
    client.send(&Frame::close(1000, ""));
    let from = client.wire.stream().local_addr().unwrap();
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(
        record.starts_with(&format!("session client={from} target=127.0.0.1:")),
        "{record}"
    );
    let counts = " from_client=0 to_client=4 seconds=0.";
    assert!(record.contains(counts), "{record}");
    assert!(
        record.ends_with(" code=1000 by=target reason=\"Target closed\""),
        "{record}"
    );
}

#[test]
fn what_a_client_says_can_neither_forge_a_record_nor_show_its_token() {
    let bridge = Bridge::start(&["-v", "127.0.0.1:{port}", &backend::echo().to_string()]);
    let mut page = Wire::connect(bridge.addr());
    page.request("GET /a%0a?token=secret1 HTTP/1.1\r\nHost: h\r\n");
    let mut wire = Wire::connect(bridge.addr());
    let head = crate::wire::UPGRADE.replace("GET / ", "GET /x?token=secret2 ");
    assert_eq!(wire.request(&head).status, 101);
    let mut client = Ws { wire };
    client.send(&Frame::close(1000, "x\n<3>forged \u{1b}[31m\"\u{202e}"));
    client.close();
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(
        record.ends_with(r#"reason="x\n<3>forged \u{1b}[31m\"\u{202e}""#),
        "{record}"
    );
    assert!(!bridge.stderr().contains("secret"));
    let mut long = Wire::connect(bridge.addr());
    long.request(&format!("{} / HTTP/1.1\r\nHost: h\r\n", "M".repeat(9000)));
    let request = bridge.wait_for_line(|line| line.contains(" method=MMM"));
    assert!(request.len() < 500, "{request}");
}

#[test]
fn run_once_serves_pages_then_one_session_then_nobody() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "page").unwrap();
    let web = folder.path().to_str().unwrap();
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--run-once", "--web", web, "127.0.0.1:{port}", &target]);
    let mut page = Wire::connect(bridge.addr());
    assert_eq!(page.request("GET / HTTP/1.1\r\nHost: h\r\n").status, 200);
    let mut other = Wire::connect(bridge.addr());
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("the one");
    assert_eq!(other.request(crate::wire::UPGRADE).status, 503);
    client.expect_echo("undisturbed");
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    assert_eq!(bridge.wait().code(), Some(0));
}

#[test]
fn timeout_waits_for_the_sessions_and_takes_no_new_ones() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--timeout=1", "127.0.0.1:{port}", &target]);
    let mut client = Ws::open(bridge.addr());
    bridge.wait_for_line(|line| line == "ending by --timeout");
    client.expect_echo("still here");
    assert!(std::net::TcpStream::connect(bridge.addr()).is_err());
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    assert_eq!(bridge.wait().code(), Some(0));
}

#[test]
fn after_timeout_a_page_that_is_still_open_begins_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().to_str().unwrap();
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--timeout=1", "--web", web, "127.0.0.1:{port}", &target]);
    let (mut first, mut second) = (Ws::open(bridge.addr()), Ws::open(bridge.addr()));
    let mut page = Wire::connect(bridge.addr());
    // An answer without a body, so that the next one is all there is to read.
    let head = "HEAD / HTTP/1.1\r\nHost: h\r\n";
    assert_eq!(page.request(head).status, 200);
    bridge.wait_for_line(|line| line == "ending by --timeout");
    assert_eq!(page.request(crate::wire::UPGRADE).status, 503);
    first.expect_echo("still here");
    first.send(&Frame::close(1000, ""));
    bridge.wait_until("status of the last session", |seen| {
        seen.notices
            .contains("STATUS=1 session, 2 served")
            .then_some(())
    });
    second.send(&Frame::close(1000, ""));
    assert_eq!(second.close(), "1000");
    assert_eq!(bridge.wait().code(), Some(0));
}

/// A stopped program finds the client and its own deadline at once when it goes on.
#[test]
fn a_client_that_comes_at_the_moment_of_an_idle_exit_is_served() {
    let target = backend::echo().to_string();
    let start = |socket: &std::net::TcpListener, options: &[&str]| {
        let mut command = std::process::Command::new("sh");
        let pass = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        command
            .args(["-c", pass, "sh", env!("CARGO_BIN_EXE_websockify"), &target])
            .args(options)
            .stdin(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()));
        let process = Process::spawn(&mut command, None);
        process.wait_for_line(|line| line.starts_with("bridging to "));
        process
    };
    // Its end says that everybody's second is over.
    let a_second_later = || {
        Bridge::start(&["--idle-timeout=1", "127.0.0.1:{port}", &target]).wait();
    };
    let tries: Vec<_> = (0..10)
        .map(|_| {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let first = start(&socket, &["--idle-timeout=1"]);
            first.signal(Signal::STOP);
            let client = Wire::connect(socket.local_addr().unwrap());
            (socket, first, client)
        })
        .collect();
    a_second_later();
    for (_, first, _) in &tries {
        first.signal(Signal::CONT);
    }
    a_second_later();
    for (socket, _first, client) in tries {
        // The socket is the manager's: a client that the first did not take is the next one's.
        let _next = start(&socket, &[]);
        Ws::upgrade(client).expect_echo("served");
    }
}

#[test]
fn idle_timeout_counts_from_the_last_connection() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--idle-timeout=1", "127.0.0.1:{port}", &target]);
    let mut client = Ws::open(bridge.addr());
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        client.expect_echo("busy");
    }
    client.send(&Frame::close(1000, ""));
    client.close();
    let left = Instant::now();
    drop(client);
    assert_eq!(bridge.wait().code(), Some(0));
    assert!(
        left.elapsed() > Duration::from_millis(900),
        "{:?}",
        left.elapsed()
    );
}

/// The journal reads the priority of a line from its front, and only the journal does.
#[test]
fn lines_carry_their_priority_where_the_journal_reads_them() {
    use std::os::unix::fs::MetadataExt;
    let (target, _refusing) = backend::refuse();
    for journal in [true, false] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = file.as_file().metadata().unwrap();
        let inode = found.ino() + u64::from(!journal);
        let bridge = Bridge::start_under(
            &[
                "env",
                &format!("JOURNAL_STREAM={}:{inode}", found.dev()),
                "sh",
                "-c",
                &format!("exec \"$@\" 2>{}", file.path().display()),
                "sh",
            ],
            &["127.0.0.1:{port}", &target.to_string()],
        );
        let mut client = Ws::open(bridge.addr());
        client.close();
        client.send(&Frame::close(1011, ""));
        bridge.terminate();
        bridge.wait();
        let log = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = log
            .lines()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        let expected = [
            "<6>listening",
            "<6>bridging",
            "<6>sandbox",
            "<4>cannot",
            "<6>session",
        ];
        let plain = expected.map(|line| &line[3..]);
        assert_eq!(lines, if journal { expected } else { plain }, "{log}");
    }
}
