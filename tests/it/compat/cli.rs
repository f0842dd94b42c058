//! Options, their order and spelling, and exit statuses.

use std::net::Ipv4Addr;

use super::differs;
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::wire::Ws;

/// novnc_proxy puts options behind the positional arguments; others do otherwise.
#[test]
fn options_anywhere() {
    let target = backend::echo().to_string();
    let target = target.as_str();
    let listen = "127.0.0.1:{port}";
    for args in [
        vec![listen, target, "--heartbeat", "5", "--idle-timeout", "60"],
        vec![listen, "--heartbeat", "5", target, "-v"],
        vec!["--heartbeat", "5", listen, target],
        vec!["-v", "--heartbeat=5", listen, target],
        vec!["--heart=5", "--time", "60", "--verb", listen, target],
        vec!["--heartbeat=5", "--heartbeat=7", listen, target],
        vec!["-v6", listen, target],
    ] {
        let bridge = Bridge::start(&args);
        Ws::open(bridge.addr()).expect_echo("hello");
    }
}

/// A wrong command line is status 2, and standard error says which program and why.
#[test]
fn usage_errors() {
    let cases: [&[&str]; 14] = [
        &[],
        &["6080"],
        &["6080", "localhost:5900", "more"],
        &["abc", "localhost:5900"],
        &["localhost:", "localhost:5900"],
        &["6080", "localhost"],
        &["6080", "localhost:abc"],
        &["6080", "localhost:5900", "--no-such-option"],
        &["6080", "localhost:5900", "--t=1"],
        &["6080", "localhost:5900", "--ssl"],
        &["6080", "localhost:5900", "--timeout=soon"],
        &["6080", "localhost:5900", "--timeout"],
        &["6080", "localhost:5900", "--verbose=yes"],
        &[
            "--unix-listen=/nowhere/s",
            "--unix-listen-mode=999",
            "localhost:5900",
        ],
    ];
    for args in cases {
        let bridge = Bridge::spawn(args);
        assert_eq!(bridge.wait().code(), Some(2), "{args:?}");
        let stderr = bridge.stderr();
        assert!(
            stderr
                .lines()
                .any(|line| line.starts_with("websockify: error: ")),
            "{stderr}"
        );
        assert_eq!(bridge.stdout(), "", "{args:?}");
    }
}

/// A port to listen on is at most 65535.
#[test]
fn odd_ports() {
    let target = backend::echo().to_string();
    for spelling in [
        "127.0.0.1:+{port}",
        "127.0.0.1:{port} ",
        "127.0.0.1:0{port}",
    ] {
        let bridge = Bridge::start(&[spelling, &target]);
        Ws::open(bridge.addr()).expect_echo("hello");
    }
    if differs("port", false, true) {
        for listen in ["65536", "127.0.0.1:70000", "99999999999999999999"] {
            assert_eq!(
                Bridge::spawn(&[listen, &target]).wait().code(),
                Some(2),
                "{listen}"
            );
        }
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "127.0.0.1:70000"]);
        assert_eq!(bridge.wait().code(), Some(2));
    } else {
        // What is left modulo 65536 is listened on, so a port beyond has to have a free one there.
        let port = free_port();
        let beyond = format!("127.0.0.1:{}", u32::from(port) + 65536);
        let _bridge = Bridge::start(&[&beyond, &target]);
        Ws::open((Ipv4Addr::LOCALHOST, port)).expect_echo("hello");
    }
}

/// The number of an option is spelt as in Python's source.
#[test]
fn odd_numbers() {
    for option in [
        "--heartbeat=0x5",
        "--idle-timeout=0b1111",
        "--timeout=010",
        "--timeout=+6_0",
        "--timeout= 60",
        "--timeout=99999999999",
    ] {
        Bridge::start(&["127.0.0.1:{port}", "127.0.0.1:1", option]);
    }
    for (option, value) in [
        ("--timeout", "08"),
        ("--heartbeat", "5s"),
        ("--idle-timeout", ""),
    ] {
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "127.0.0.1:1", option, value]);
        assert_eq!(bridge.wait().code(), Some(2), "{option} {value}");
        let line =
            format!("websockify: error: option {option}: invalid integer value: '{value}'\n");
        assert!(bridge.stderr().contains(&line), "{}", bridge.stderr());
    }
}

/// One second is `0b1`.
#[test]
fn binary_numbers() {
    let bridge = Bridge::start(&["127.0.0.1:{port}", "127.0.0.1:1", "--timeout=0b1"]);
    assert_eq!(bridge.wait().code(), Some(0));
}

/// A number of seconds below zero.
#[test]
fn negative_numbers() {
    let bridge = Bridge::spawn(&["127.0.0.1:{port}", "127.0.0.1:1", "--timeout=-1"]);
    assert_eq!(bridge.wait().code(), Some(differs("numbers", 0, 2)));
}

/// An option that has no effect alone does no harm.
#[test]
fn options_without_effect() {
    for option in ["--file-only", "--unix-listen-mode=600", "-6"] {
        let bridge = Bridge::start(&["127.0.0.1:{port}", &backend::echo().to_string(), option]);
        Ws::open(bridge.addr()).expect_echo("hello");
    }
}

/// Help is asked for, so it goes to standard output.
#[test]
fn help() {
    for option in ["-h", "--help"] {
        let bridge = Bridge::spawn(&[option]);
        assert_eq!(bridge.wait().code(), Some(0));
        let help = bridge.stdout();
        for option in ["--web", "--run-once", "--unix-target", "--heartbeat"] {
            assert!(help.contains(option), "no {option} in {help}");
        }
    }
}

/// A port that somebody has is a failure, for scripts and service managers to see.
#[test]
fn port_in_use() {
    let taken = backend::echo().to_string();
    let bridge = Bridge::spawn(&[&taken, "127.0.0.1:1"]);
    assert_eq!(bridge.wait().code(), Some(differs("start-failure", 0, 1)));
    assert!(bridge.stderr().contains("in use"), "{}", bridge.stderr());
}

/// So is a name that does not resolve, or an address that is not ours.
#[test]
fn nowhere_to_listen() {
    for host in ["203.0.113.1", "host.invalid"] {
        let bridge = Bridge::spawn(&[&format!("{host}:6080"), "127.0.0.1:1"]);
        assert_eq!(
            bridge.wait().code(),
            Some(differs("start-failure", 0, 1)),
            "{host}"
        );
    }
}

/// A folder to serve that is not there.
#[test]
fn missing_web_folder() {
    let bridge = Bridge::spawn(&["--web=/no/such/folder", "127.0.0.1:{port}", "127.0.0.1:1"]);
    assert_eq!(bridge.wait().code(), Some(1));
    let stderr = bridge.stderr();
    assert!(stderr.contains("/no/such/folder"), "{stderr}");
    assert_eq!(
        stderr.contains("Traceback"),
        differs("traceback", true, false),
        "{stderr}"
    );
}
