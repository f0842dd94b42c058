//! `--demo`, without a browser; with one it is in `browser`.

use std::fs;
use std::process::Command;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::SockRef;

use crate::bridge::Bridge;
use crate::wire::{Wire, Ws};

#[test]
fn the_demo_needs_no_file_and_no_other_program() {
    let empty = tempfile::tempdir().unwrap();
    let bridge = Bridge::start_with(&["--demo", "127.0.0.1:{port}"], |command| {
        command.current_dir(empty.path())
    });
    let mut page = Wire::connect(bridge.addr());
    let answer = page.request("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        answer
            .header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let body = String::from_utf8(page.rest()).unwrap();
    assert!(body.contains("</html>"));
    // Nothing is fetched from elsewhere.
    assert!(!body.contains("src=\"http") && !body.contains("@import"));
    let mut other = Wire::connect(bridge.addr());
    assert_eq!(
        other
            .request("GET /other HTTP/1.1\r\nHost: localhost\r\n")
            .status,
        404
    );
    Ws::open(bridge.addr()).expect_echo(vec![5; 200_000]);
}

/// A page that pauses keeps its session: no end of it has a deadline for what is unread.
#[test]
fn the_demos_sessions_have_no_deadline_at_either_end() {
    let bridge = Bridge::start(&["--demo", "{port}"]);
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("a session");
    let pid = bridge.pid();
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).unwrap();
    let numbers = open.map(|it| it.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let connected: Vec<_> = numbers
        .filter_map(|number| pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).ok())
        .filter(|it| {
            SockRef::from(it)
                .peer_addr()
                .is_ok_and(|peer| peer.is_ipv4())
        })
        .collect();
    assert_eq!(connected.len(), 3);
    for socket in connected {
        assert_eq!(SockRef::from(&socket).tcp_user_timeout().unwrap(), None);
    }
}

#[test]
fn the_demo_listens_on_loopback_only() {
    let bridge = Bridge::start(&["--demo", "{port}"]);
    let listening = Command::new("ss").args(["-Hltnp"]).output().unwrap().stdout;
    let listening = String::from_utf8(listening).unwrap();
    let pid = format!("pid={},", bridge.pid().as_raw_nonzero());
    let ours: Vec<&str> = listening
        .lines()
        .filter(|line| line.contains(&pid))
        .collect();
    assert!(ours.len() >= 2, "{listening}");
    for line in ours {
        assert!(
            line.contains(" 127.0.0.1:") || line.contains(" [::1]:"),
            "{line}"
        );
    }
}
