//! Variables, the service manager's sockets and the command line, which wins over both.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::bridge::free_port;
use crate::process::Process;

/// Our program with `args` and `variables`, and with a listening socket of a manager's if
/// `inherited`. `{port}` stands for a free port in both, which comes back, and `{folder}` for one
/// that is gone at the end.
fn start(args: &str, variables: &str, inherited: bool) -> (Process, String) {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let fill = |text: &str| {
        text.replace("{port}", &port)
            .replace("{folder}", folder.path().to_str().unwrap())
    };
    let mut command = Command::new("sh");
    let (passed, pass): (Stdio, _) = if inherited {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let pass = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        (OwnedFd::from(socket).into(), pass)
    } else {
        (Stdio::null(), "exec \"$@\"")
    };
    command
        .args(["-c", pass, "sh", env!("CARGO_BIN_EXE_websockify")])
        .args(args.split_whitespace().map(fill))
        .envs(variables.split_whitespace().map(|variable| {
            let (name, value) = variable.split_once('=').unwrap();
            (format!("WEBSOCKIFY_{name}"), fill(value))
        }))
        .stdin(passed);
    let process = Process::spawn(&mut command, None);
    process.wait_until("start", |seen| {
        (seen.stderr.contains("bridging to ") || seen.status.is_some()).then_some(())
    });
    (process, port)
}

/// Where a bridge goes, and whether it listens on the port that it was told.
fn expect(args: &str, variables: &str, inherited: bool, target: &str, own_port: bool) {
    let (process, port) = start(args, variables, inherited);
    let case = format!("{args} with {variables}: {process}");
    let stderr = process.stderr();
    assert!(stderr.contains(&format!("bridging to {target}")), "{case}");
    let listening = format!("listening on 127.0.0.1:{port}\n");
    assert_eq!(stderr.contains(&listening), own_port, "{case}");
}

#[test]
fn a_typed_target_of_either_kind_wins_over_the_environment() {
    for (args, variables, target) in [
        ("127.0.0.1:{port} b:2", "TARGET=a:1", "b:2"),
        ("127.0.0.1:{port} b:2", "UNIX_TARGET=/s", "b:2"),
        ("127.0.0.1:{port} b:2", "DEMO=1", "b:2"),
        ("127.0.0.1:{port} --unix-target=/s", "TARGET=a:1", "unix:/s"),
        (
            "127.0.0.1:{port} --unix-target=/s",
            "UNIX_TARGET=/t",
            "unix:/s",
        ),
        ("127.0.0.1:{port} --demo", "TARGET=a:1", "127.0.0.1:"),
        ("127.0.0.1:{port}", "TARGET=a:1", "a:1"),
        ("127.0.0.1:{port}", "UNIX_TARGET=/s", "unix:/s"),
        ("127.0.0.1:{port} b:2", "UNIX_LISTEN={folder}/s", "b:2"),
        ("127.0.0.1:{port} b:2", "SSL_TARGET_INSECURE=0", "b:2"),
    ] {
        expect(args, variables, false, target, true);
    }
    for (args, variables, target) in [
        ("--unix-listen={folder}/s b:2", "TARGET=a:1", "b:2"),
        ("--unix-listen={folder}/s b:2", "UNIX_TARGET=/s", "b:2"),
        ("--unix-listen={folder}/s b:2", "LISTEN={port}", "b:2"),
        ("--unix-listen={folder}/s", "INETD=1 TARGET=a:1", "a:1"),
    ] {
        expect(args, variables, false, target, false);
    }
}

#[test]
fn a_port_beside_the_managers_sockets_is_left_out() {
    for (args, variables, target) in [
        ("b:2", "", "b:2"),
        ("6080 b:2", "", "b:2"),
        ("b:2", "TARGET=a:1", "b:2"),
        ("b:2", "UNIX_TARGET=/s", "b:2"),
        ("6080", "TARGET=a:1", "a:1"),
        ("6080", "UNIX_TARGET=/s", "unix:/s"),
        ("--unix-target=/s", "TARGET=a:1", "unix:/s"),
        ("--unix-target=/s 6080", "", "unix:/s"),
        ("--unix-target=/s [::1]:6080", "", "unix:/s"),
        ("--demo 6080", "", "127.0.0.1:"),
    ] {
        expect(args, variables, true, target, false);
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (args, variables, inherited, part) in [
        (
            "6080",
            "TARGET=a:1 UNIX_TARGET=/s",
            false,
            "exclude each other",
        ),
        ("--unix-target=/s 6080 b:2", "", false, "Too many arguments"),
        ("--unix-target=/s 6080 b:2", "", true, "Too many arguments"),
        (
            "--unix-listen=/s 6080",
            "TARGET=a:1",
            false,
            "Too many arguments",
        ),
        ("--demo 6080 b:2", "", true, "own target"),
        ("6080", "", true, "'6080' is not host:port"),
    ] {
        let (process, _) = start(args, variables, inherited);
        assert_eq!(process.wait().code(), Some(2), "{args}: {process}");
        assert!(process.stderr().contains(part), "{args}: {process}");
    }
}
