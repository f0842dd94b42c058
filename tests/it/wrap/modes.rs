//! What the program's end means: ours, nothing, or another start.

use rustix::process::{Signal, kill_process};

use super::{Server, children, started};
use crate::bridge::Bridge;
use crate::wire::{Frame, Ws};

/// Every signal that ends a process unless it says otherwise (signal(7)).
const FATAL: [Signal; 23] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::ILL,
    Signal::TRAP,
    Signal::ABORT,
    Signal::BUS,
    Signal::FPE,
    Signal::KILL,
    Signal::USR1,
    Signal::SEGV,
    Signal::USR2,
    Signal::PIPE,
    Signal::ALARM,
    Signal::TERM,
    Signal::STKFLT,
    Signal::XCPU,
    Signal::XFSZ,
    Signal::VTALARM,
    Signal::PROF,
    Signal::IO,
    Signal::POWER,
    Signal::SYS,
];

#[test]
fn exit_ends_with_the_programs_status_after_its_last_words() {
    for status in [0, 3, 255] {
        let server = Server::new(&[&format!("end={status}")]);
        let bridge = server.start(&[]);
        let mut client = Ws::open(bridge.addr());
        client.send(&Frame::binary("last words"));
        let end = client.end();
        assert_eq!(end.data, b"last words");
        assert_eq!(end.close, "1000 Target closed");
        client.send(&Frame::close(1000, ""));
        assert_eq!(bridge.wait().code(), Some(status));
        assert_eq!(server.processes(), []);
    }
}

#[test]
fn exit_closes_the_sessions_that_the_program_has_left() {
    let server = Server::new(&[]);
    let bridge = server.start(&["--wrap-mode=exit"]);
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("here");
    // Its child serves the session, and goes on.
    kill_process(started(&bridge), Signal::TERM).unwrap();
    assert_eq!(client.close(), "1001 Server shutting down");
    client.send(&Frame::close(1001, ""));
    assert_eq!(bridge.wait().code(), Some(128 + 15));
    assert_eq!(server.processes(), []);
}

#[test]
fn exit_says_by_which_signal() {
    for signal in FATAL {
        let server = Server::new(&[]);
        let bridge = server.start(&[]);
        kill_process(started(&bridge), signal).unwrap();
        assert_eq!(
            bridge.wait().code(),
            Some(128 + signal.as_raw()),
            "{signal:?}"
        );
        assert_eq!(server.processes(), [], "{signal:?}");
    }
}

#[test]
fn ignore_goes_on_after_every_signal_and_says_that_the_program_has_ended() {
    for signal in FATAL {
        let server = Server::new(&[]);
        let bridge = server.start(&["--wrap-mode=ignore"]);
        kill_process(started(&bridge), signal).unwrap();
        bridge.wait_for_line(|line| line.contains("nothing of it is left"));
        let mut client = Ws::open(bridge.addr());
        assert_eq!(client.close(), "1011 The program has ended", "{signal:?}");
        client.send(&Frame::close(1011, ""));
        bridge.terminate();
        assert_eq!(bridge.wait().code(), Some(0));
        assert_eq!(server.processes(), []);
    }
}

#[test]
fn ignore_serves_a_program_that_went_to_the_background_and_ends_it() {
    let server = Server::new(&["daemon"]);
    let bridge = server.start(&["--wrap-mode=ignore"]);
    bridge.wait_for_line(|line| line == "server ended with status 0 and goes on in the background");
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("here");
    bridge.wait_until("its state", |seen| {
        seen.notices
            .contains(", server listening in the background")
            .then_some(())
    });
    client.send(&Frame::close(1000, ""));
    client.close();
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    assert_eq!(server.processes(), []);
}

#[test]
fn ignore_notices_when_the_background_ends() {
    let server = Server::new(&["daemon"]);
    let bridge = server.start(&["--wrap-mode=ignore"]);
    bridge.wait_for_line(|line| line.ends_with("goes on in the background"));
    let supervisor = server.supervisor(&bridge);
    server.kill();
    bridge.wait_for_line(|line| line == "nothing of server is left");
    // Nor is a zombie.
    assert!(children(supervisor).is_empty());
    assert_eq!(
        Ws::open(bridge.addr()).close(),
        "1011 The program has ended"
    );
    bridge.wait_until("its state", |seen| {
        seen.notices.contains(", server ended").then_some(())
    });
}

#[test]
fn exit_says_what_to_do_about_a_program_that_goes_to_the_background() {
    let server = Server::new(&["daemon"]);
    let bridge = Bridge::spawn(&server.line(&[]));
    assert_eq!(bridge.wait().code(), Some(0));
    let hint = "it went to the background, which --wrap-mode=ignore is for";
    assert!(bridge.stderr().contains(hint), "{}", bridge.stderr());
    assert_eq!(server.processes(), []);
}

/// As telnetd -debug: each client needs a new one, and comes while there is none.
#[test]
fn respawn_gives_each_client_a_program_of_its_own() {
    let server = Server::new(&["once"]);
    let bridge = server.start(&["--wrap-mode=respawn"]);
    for turn in 0..6 {
        let mut client = Ws::open(bridge.addr());
        client.expect_echo(format!("client {turn}"));
        client.send(&Frame::close(1000, ""));
        assert_eq!(client.close(), "1000");
    }
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    assert_eq!(server.processes(), []);
}

#[test]
fn respawn_after_every_signal() {
    // After three the starts are spaced out.
    for signals in FATAL.chunks(3) {
        let server = Server::new(&[]);
        let bridge = server.start(&["--wrap-mode=respawn"]);
        for signal in signals {
            let pid = started(&bridge);
            kill_process(pid, *signal).unwrap();
            let ended = format!(
                "server ended with signal {}: starting it again",
                signal.as_raw()
            );
            bridge.wait_for_line(|line| line == ended);
            bridge.wait_until("another start", |seen| {
                let starts = seen.stderr.rsplit_once(" started, pid=")?.1;
                let again = starts.split('\n').next()? != pid.to_string();
                (again && starts.contains("server listens")).then_some(())
            });
            Ws::open(bridge.addr()).expect_echo("here");
        }
        bridge.terminate();
        assert_eq!(bridge.wait().code(), Some(0));
        assert_eq!(server.processes(), []);
    }
}

#[test]
fn respawn_is_paced_and_told_once() {
    super::library();
    let args = [
        "127.0.0.1:{port}",
        "--wrap-mode=respawn",
        "-v",
        "--",
        "sh",
        "-c",
        "exit 3",
    ];
    let bridge = Bridge::spawn(&args);
    // Three starts at once, and then after 250, 500, 1000 and 2000 ms.
    let (slow, quick) = bridge.wait_until("eighth start", |seen| {
        let starts = seen.stderr.matches("sh started, pid=").count();
        let of = |text: &str| seen.stderr.matches(text).count();
        (starts >= 8).then(|| {
            (
                of("it is started ever more slowly"),
                of("starting it again"),
            )
        })
    });
    assert_eq!((slow, quick), (1, 3), "{}", bridge.stderr());
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
}

#[test]
fn a_leftover_that_listens_in_a_pause_does_not_take_the_next_start() {
    super::library();
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    // The sixth run ends before a second's pause, in which what it has left behind listens and goes.
    let program = format!(
        "echo run >>{runs}; [ $(wc -l <{runs}) != 6 ] || \
         (sleep 0.1; exec timeout 3 busybox nc -l -p {{port}}) & exit 1",
        runs = runs.display()
    );
    let bridge = Bridge::spawn(&[
        "127.0.0.1:{port}",
        "--wrap-mode=respawn",
        "-v",
        "--",
        "sh",
        "-c",
        &program,
    ]);
    bridge.wait_until("start after the leftover's", |seen| {
        let (_, after) = seen.stderr.split_once("sh listens")?;
        after.contains("sh started, pid=").then_some(())
    });
}
