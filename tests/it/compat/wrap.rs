//! A program behind the bridge: `-- COMMAND`.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{differs, theirs};
use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};
use crate::wrap::{Server, compiled, library};

/// A session with the program, however often that has to be tried.
fn reached(bridge: &Bridge) -> Ws {
    let began = Instant::now();
    loop {
        let mut client = Ws::open(bridge.addr());
        client.send(&Frame::binary("there?"));
        match client.recv() {
            Some(frame) if frame.payload == b"there?" => return client,
            _ => assert!(began.elapsed() < DEADLINE, "{bridge:?}"),
        }
    }
}

fn close(mut client: Ws) {
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
}

/// The port that a program says it got, of the one that the bridge has.
fn spawn(command: &[&str]) -> Bridge {
    library();
    Bridge::spawn(&[&["127.0.0.1:{port}", "--"], command].concat())
}

/// All that a bridge and its program have said, with a program's lines as they were.
fn said(bridge: &Bridge) -> String {
    bridge.stdout() + &bridge.stderr()
}

#[test]
fn the_programs_port_is_moved() {
    let server = Server::new(&[]);
    let bridge = server.start(&[]);
    let mut client = reached(&bridge);
    client.expect_echo("hello");
    close(client);
    server.kill();
}

#[test]
fn options_before_and_behind_the_port() {
    for options in [&["--wrap-mode", "ignore"][..], &["--wrap=exit", "-v"]] {
        let server = Server::new(&[]);
        let bridge = server.start(options);
        close(reached(&bridge));
        server.kill();
    }
}

#[test]
fn usage_errors() {
    for args in [
        &["6080", "--"][..],
        &["--wrap-mode=never", "6080", "--", "true"],
        &["--", "true"],
    ] {
        assert_eq!(Bridge::spawn(args).wait().code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_target_beside_the_program() {
    let server = Server::new(&[]);
    let mut line = server.line(&[]);
    line.insert(1, "127.0.0.1:1");
    let bridge = Bridge::spawn(&line);
    let (status, part) = differs(
        "wrap-target",
        (1, "No such file or directory: '127.0.0.1:1'"),
        (2, "Too many arguments"),
    );
    assert_eq!(bridge.wait().code(), Some(status));
    assert!(said(&bridge).contains(part), "{bridge:?}");
}

#[test]
fn no_such_program() {
    let bridge = spawn(&["/no/such/program"]);
    assert_eq!(bridge.wait().code(), Some(1));
    let said = said(&bridge);
    assert!(said.contains("/no/such/program"), "{said}");
    let traceback = differs("wrap-start-failure", true, false);
    assert_eq!(said.contains("Traceback"), traceback, "{said}");
}

#[test]
fn a_program_that_is_linked_statically() {
    let server = compiled("server", &["-static"]);
    let bridge = spawn(&[server.to_str().unwrap(), "{port}", "end=0"]);
    // Theirs starts it in vain: it finds its port taken, which ends it.
    let (status, part) = differs(
        "wrap-static",
        (0, "Address already in use"),
        (1, "linked statically"),
    );
    assert_eq!(bridge.wait().code(), Some(status));
    assert!(said(&bridge).contains(part), "{bridge:?}");
}

#[test]
fn exit_status() {
    for (words, status) in [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 128 + 9)] {
        let bridge = spawn(&["sh", "-c", words]);
        assert_eq!(
            bridge.wait().code(),
            Some(differs("wrap-status", 0, status)),
            "{words}"
        );
    }
}

#[test]
fn sessions_at_the_programs_end() {
    let server = Server::new(&["end=0"]);
    let bridge = server.start(&[]);
    let mut client = loop {
        let mut client = Ws::open(bridge.addr());
        client.send(&Frame::binary("last words"));
        match client.recv() {
            Some(frame) if frame.payload == b"last words" => break client,
            _ => {}
        }
    };
    assert_eq!(client.close(), "1000 Target closed");
    client.send(&Frame::close(1000, ""));
    assert_eq!(bridge.wait().code(), Some(0));
}

#[test]
fn ignore_keeps_a_program_that_goes_to_the_background() {
    let server = Server::new(&["daemon"]);
    let bridge = server.start(&["--wrap-mode=ignore"]);
    close(reached(&bridge));
    close(reached(&bridge));
    server.kill();
}

#[test]
fn respawn_starts_it_again() {
    let server = Server::new(&["once"]);
    let bridge = server.start(&["--wrap-mode=respawn"]);
    for _ in 0..2 {
        close(reached(&bridge));
    }
    bridge.terminate();
    server.kill();
}

#[test]
fn respawn_is_paced() {
    library();
    let began = Instant::now();
    let args = [
        "127.0.0.1:{port}",
        "--wrap-mode=respawn",
        "--",
        "sh",
        "-c",
        "echo again",
    ];
    let bridge = Bridge::spawn(&args);
    bridge.wait_until("fifth start", |seen| {
        let starts =
            seen.stdout.matches("again\n").count() + seen.stderr.matches("sh: again\n").count();
        (starts >= 5).then_some(())
    });
    let slow = began.elapsed() > Duration::from_secs(9);
    assert_eq!(slow, differs("wrap-respawn", true, false));
}

#[test]
fn a_client_that_comes_too_early() {
    library();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("go");
    crate::real::succeeds(std::process::Command::new("mkfifo").arg(&fifo));
    let server = Server::new(&[]);
    let words = server.words().join(" ");
    let command = format!("echo waiting; read go <{}; exec {words}", fifo.display());
    let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--", "sh", "-c", &command]);
    bridge.wait_until("start", |seen| {
        (seen.stdout.contains("waiting") || seen.stderr.contains("waiting")).then_some(())
    });
    let mut client = Ws::open(bridge.addr());
    if theirs() {
        assert_eq!(
            client.close(),
            "1011 Failed to connect to downstream server"
        );
    }
    std::fs::write(&fifo, "go\n").unwrap();
    if differs("wrap-early", false, true) {
        client.expect_echo("hello");
    } else {
        close(reached(&bridge));
    }
    server.kill();
}

#[test]
fn a_program_of_ipv6_only() {
    if !std::path::Path::new("/proc/net/if_inet6").exists() {
        let test = "compat::wrap::a_program_of_ipv6_only";
        return crate::machine::skip(test, "no IPv6 here");
    }
    let server = Server::new(&["only6"]);
    let bridge = server.start(&[]);
    if differs("wrap-ipv6", false, true) {
        Ws::open(bridge.addr()).expect_echo("hello");
    } else {
        bridge.wait_until("the program", |seen| {
            seen.stdout.contains("listening").then_some(())
        });
        let close = Ws::open(bridge.addr()).close();
        assert_eq!(close, "1011 Failed to connect to downstream server");
    }
    server.kill();
}

#[test]
fn datagrams() {
    let binds = compiled("binds", &[]);
    let bridge = spawn(&[binds.to_str().unwrap(), "udp4", "127.0.0.2", "{port}"]);
    bridge.wait();
    let kept = format!("127.0.0.2 {} ", bridge.port());
    assert_eq!(
        said(&bridge).contains(&kept),
        differs("wrap-udp", false, true)
    );
}

#[test]
fn standard_streams() {
    library();
    let bridge = Bridge::spawn_under(
        &["sh", "-c", "exec \"$@\" </dev/zero", "sh"],
        &[
            "127.0.0.1:{port}",
            "--",
            "sh",
            "-c",
            "readlink /proc/self/fd/0; echo to stderr >&2",
        ],
    );
    bridge.wait();
    let (out, err) = (bridge.stdout(), bridge.stderr());
    if differs("wrap-stdio", false, true) {
        assert!(
            err.contains("\nsh: /dev/null\n") && out.is_empty(),
            "{bridge:?}"
        );
        assert!(err.contains("\nsh: to stderr\n"), "{err}");
    } else {
        assert!(
            out.contains("/dev/zero\n") && err.contains("to stderr\n"),
            "{bridge:?}"
        );
        assert!(!err.contains("sh: "), "{err}");
    }
}

#[test]
fn nothing_is_left_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::new(&[]);
        let bridge = server.start(&["--wrap-mode=ignore"]);
        close(reached(&bridge));
        bridge.signal(signal);
        // Theirs holds the streams open for as long as its program lives, and so has no end here.
        if differs("wrap-stop", false, true) {
            bridge.wait();
            assert_eq!(server.processes(), []);
        } else {
            bridge.wait_for_line(|line| line.contains("In exit"));
            assert_ne!(server.programs(), []);
            server.kill();
        }
    }
}
