//! Starts, crashes, restarts and the end.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use serde_json::Value;

use super::{Helper, admitted, asking, bridge, refusal};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::inherited::activated;
use crate::machine::skip;
use crate::process::DEADLINE;
use crate::service::Service;
use crate::wire::{Frame, Wire};
use crate::wrap::children;

/// Waits for the end of a process, which may be nobody's child any more.
fn ends(pid: i64) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let limit = DEADLINE.try_into().unwrap();
    let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
    assert_eq!(poll(&mut polled, Some(&limit)), Ok(1), "{pid:?} lives on");
}

/// Nothing is open but the three streams.
fn no_sockets(start: &Value) {
    let descriptors = start["descriptors"].as_object().unwrap();
    for (number, name) in descriptors {
        let name = name.as_str().unwrap();
        match number.parse::<u8>().unwrap() {
            0..=2 => assert!(name.starts_with("pipe:"), "{number} is {name}"),
            _ => assert!(!name.starts_with("socket:"), "{number} is {name}"),
        }
    }
}

fn lines(bridge: &Bridge, wanted: impl Fn(&str) -> bool, count: usize) {
    bridge.wait_until("line", |seen| {
        (seen.stderr.lines().filter(|line| wanted(line)).count() >= count).then_some(())
    });
}

/// It may use select(2), which knows 1024 files.
#[test]
fn a_limit_on_open_files_is_raised_for_the_bridge_alone() {
    let source =
        "--auth-source=sh -c 'read -r question; echo limit $(ulimit -Sn) of $(ulimit -Hn) >&2'";
    let args = ["--auth-plugin=Exec", source, "127.0.0.1:{port}", "h:1"];
    let bridge = Bridge::spawn_under(&["prlimit", "--nofile=256:1024"], &args);
    assert_eq!(bridge.wait().code(), Some(1), "{bridge:?}");
    let said = bridge.stderr();
    assert!(said.contains("limit 256 of 1024"), "{said}");
}

#[test]
fn a_program_that_cannot_serve_ends_the_start() {
    let fails = |source: &str, part: &str| {
        let source = format!("--auth-source={source}");
        let bridge = Bridge::spawn(&["--auth-plugin=Exec", &source, "127.0.0.1:{port}", "h:1"]);
        assert_eq!(bridge.wait().code(), Some(1), "{source}");
        let stderr = bridge.stderr();
        let last = stderr.lines().last().unwrap();
        let begin = "websockify: error: helper ";
        assert!(last.starts_with(begin) && last.contains(part), "{stderr}");
        stderr
    };
    fails(
        "/no/such/program",
        "program: cannot be started: No such file",
    );
    fails(
        "/etc/passwd",
        "passwd: cannot be started: Permission denied",
    );
    fails("true", "true: ended (exit status: 0)");
    fails("echo hello", "echo: wrote a line that is not a JSON object");
    let stderr = fails(&Helper::new("fails").line(), ": ended (exit status: 4)");
    assert!(stderr.contains(": no such directory service\n"), "{stderr}");
    fails(
        &Helper::new("stranger").line(),
        "does not speak the protocol of websockify-helper(7)",
    );
}

#[test]
fn it_may_take_longer_to_start_than_to_answer() {
    let helper = Helper::new("slow");
    admitted(bridge(&helper, &[]).addr());
}

#[test]
fn it_gets_no_secret_of_ours_and_no_socket() {
    let helper = Helper::new("");
    let target = backend::echo().to_string();
    let bridge = Bridge::start_with(&["127.0.0.1:{port}", &target], |command| {
        command
            .env("WEBSOCKIFY_AUTH_PLUGIN", "Exec,BasicHTTPAuth")
            .env(
                "WEBSOCKIFY_AUTH_SOURCE",
                format!("{}\njane:s3cret", helper.line()),
            )
            .env("WEBSOCKIFY_KEY_PASSWORD", "s3cret")
            .env("WATCHDOG_USEC", "30000000")
            .env("COLOUR", "blue")
    });
    let [start] = &helper.starts()[..] else {
        panic!("{:?}", helper.starts())
    };
    let environment = start["environment"].as_object().unwrap();
    assert_eq!(environment["COLOUR"], "blue");
    for (name, value) in environment {
        let ours = name.starts_with("WEBSOCKIFY_") || name.starts_with("LISTEN_");
        let managers = ["NOTIFY_SOCKET", "WATCHDOG_USEC"].contains(&name.as_str());
        assert!(!ours && !managers, "{name}");
        assert!(!value.as_str().unwrap().contains("s3cret"), "{name}");
    }
    no_sockets(start);
    drop(bridge);
}

/// The bridge is, whatever starts beneath it and whenever; the helper is not, and ends with it.
#[test]
fn the_bridge_is_in_its_sandbox_and_the_helper_is_not() {
    let check = ["--check-config", "--sandbox=enforce", "6080", "h:1"];
    if Bridge::spawn(&check).wait().code() == Some(77) {
        let test = "helper::life::the_bridge_is_in_its_sandbox_and_the_helper_is_not";
        return skip(test, "there is no landlock here");
    }
    let helper = Helper::new("");
    let bridge = bridge(&helper, &["--sandbox=enforce"]);
    let line = bridge.wait_for_line(|line| line.starts_with("sandbox "));
    assert!(line.contains("no new privileges, landlock"), "{line}");
    assert_eq!(refusal(bridge.addr(), "crash").0, 503);
    bridge.wait_for_line(|line| line.ends_with(": starting it again"));
    admitted(bridge.addr());
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line == "reloaded");
    admitted(bridge.addr());
    let starts = helper.starts();
    // Each start has written where the bridge may not.
    assert_eq!(starts.len(), 3, "{starts:?}");
    bridge.signal(Signal::KILL);
    for start in &starts {
        ends(start["pid"].as_i64().unwrap());
    }
}

/// The process that starts helpers.
fn starter(of: Pid) -> Pid {
    let is_starter = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).nth(1) == Some(b"--start-helper")
    };
    let found = children(of).into_iter().find(is_starter);
    Pid::from_raw(found.unwrap()).unwrap()
}

#[test]
fn without_what_starts_it_the_bridge_ends_in_good_order() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let mut client = admitted(bridge.addr());
    kill_process(starter(bridge.pid()), Signal::KILL).unwrap();
    assert_eq!(client.close(), "1001 Server shutting down");
    client.send(&Frame::close(1001, ""));
    assert_eq!(bridge.wait().code(), Some(1));
    let gone = "the process that starts helper helper.py is gone\n";
    assert!(bridge.stderr().contains(gone), "{bridge:?}");
    ends(helper.starts()[0]["pid"].as_i64().unwrap());
}

#[test]
fn without_what_starts_it_sessions_go_on_in_the_next_process() {
    let helper = Helper::new("");
    let [plugin, source] = helper.options();
    let mut service = Service::start(&[&plugin, &source, &backend::echo().to_string()]);
    let mut client = admitted(service.addr());
    service.wait_for_stored(1);
    kill_process(starter(service.process().pid()), Signal::KILL).unwrap();
    assert_eq!(service.process().wait().code(), Some(1));
    service.start_anew(|| {});
    client.expect_echo("and after it");
    admitted(service.addr());
}

#[test]
fn sockets_from_the_service_manager_are_not_passed_on() {
    let helper = Helper::new("");
    let [plugin, source] = helper.options();
    let port = free_port();
    let listen = format!("--listen=127.0.0.1:{port}");
    let _bridge = activated(
        &[&listen],
        &[&plugin, &source, &backend::echo().to_string()],
    );
    admitted((Ipv4Addr::LOCALHOST, port).into());
    no_sockets(&helper.starts()[0]);
}

#[test]
fn what_it_says_is_logged_by_its_name_and_escaped() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    drop(super::Ws::upgrade_with(
        Wire::connect(bridge.addr()),
        &asking("complain"),
    ));
    bridge.wait_for_line(|line| {
        line.starts_with("helper ") && line.ends_with(": line \\u{1b}[31mone")
    });
    bridge.wait_for_line(|line| line.starts_with("helper ") && line.contains(": line two yyy"));
    drop(super::Ws::upgrade_with(
        Wire::connect(bridge.addr()),
        &asking("flood"),
    ));
    bridge.terminate();
    bridge.wait();
    let stderr = bridge.stderr();
    assert!(stderr.contains("more lines were not logged"), "{stderr}");
    assert!(!stderr.contains(": flood 200\n"), "{stderr}");
}

#[test]
fn a_crash_costs_the_questions_that_are_open_and_no_more() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let mut held: Vec<Wire> = (0..5).map(|_| Wire::connect(bridge.addr())).collect();
    for wire in &mut held {
        wire.send(format!("{}\r\n", asking("hold")));
    }
    bridge.wait_for_line(|line| line.ends_with(": holding 5"));
    let mut session = None;
    for what in ["crash", "garbage", "stranger", "long"] {
        let before = helper.starts().len();
        assert_eq!(refusal(bridge.addr(), what).0, 503, "{what}");
        for mut wire in held.drain(..) {
            assert_eq!(wire.response().status, 503);
        }
        if what == "crash" {
            bridge
                .wait_for_line(|line| line.ends_with(" ended (exit status: 3): starting it again"));
        }
        // It is there again, or clients wait until it is; the fourth time they do not.
        if what != "long" {
            session = Some(admitted(bridge.addr()));
            assert_eq!(helper.starts().len(), before + 1, "{what}");
        }
    }
    session.unwrap().expect_echo("still here");
    let again = "again and again: what needs it is answered 503; next start in 1 s";
    let line = bridge.wait_for_line(|line| line.contains(again));
    assert!(
        line.contains(" wrote a line of more than 65536 bytes"),
        "{line}"
    );
    assert_eq!(refusal(bridge.addr(), "403").0, 503);
    bridge.wait_for_line(|line| line.ends_with(" reason=\"helper does not run\""));
    lines(&bridge, |line| line.ends_with(" serves again"), 4);
    admitted(bridge.addr());
}

#[test]
fn a_question_that_stays_open_is_answered_503_and_then_the_helper_goes() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    assert_eq!(refusal(bridge.addr(), "hold").0, 503);
    bridge.wait_for_line(|line| line.ends_with(" reason=\"helper is late\""));
    // Others are served meanwhile.
    admitted(bridge.addr());
    assert_eq!(helper.starts().len(), 1);
    bridge
        .wait_for_line(|line| line.ends_with(" left a question open for 10 s: starting it again"));
    admitted(bridge.addr());
}

#[test]
fn clients_that_leave_do_not_pile_up_questions() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    // As many as may be open, and each client gone before its answer.
    for number in 1..=64 {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(format!("{}\r\n", asking("hold")));
        bridge.wait_for_line(|line| line.ends_with(&format!(": holding {number}")));
    }
    let late = thread::spawn({
        let addr = bridge.addr();
        move || refusal(addr, "release")
    });
    // The turn never comes.
    assert_eq!(late.join().unwrap().0, 503);
    assert!(!bridge.stderr().contains(": holding 65"));
}

#[test]
fn a_reload_brings_a_new_one_and_the_old_finishes() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let mut waiting = Wire::connect(bridge.addr());
    waiting.send(format!("{}X-User: 7\r\n\r\n", asking("later")));
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line == "reloaded");
    assert_eq!(waiting.response().status, 418);
    let starts = helper.starts();
    assert_eq!(starts.len(), 2);
    ends(starts[0]["pid"].as_i64().unwrap());
    admitted(bridge.addr());
    let report = fs::read_to_string(helper.report()).unwrap();
    assert!(report.ends_with("end\n"), "{report}");
    // Nobody was told of an end that was ours.
    assert!(!bridge.stderr().contains("starting it again"));
}

#[test]
fn a_reload_that_cannot_start_a_new_one_keeps_the_old() {
    let helper = Helper::new("once");
    let bridge = bridge(&helper, &[]);
    bridge.signal(Signal::HUP);
    let line = bridge.wait_for_line(|line| line.starts_with("not reloaded, "));
    assert!(line.ends_with(": ended (exit status: 5)"), "{line}");
    admitted(bridge.addr());
    assert!(!fs::read_to_string(helper.report()).unwrap().contains("end"));
}

#[test]
fn nothing_is_left_of_it_when_we_end() {
    for mode in ["", "family", "deaf", "astray"] {
        let helper = Helper::new(mode);
        let bridge = bridge(&helper, &[]);
        admitted(bridge.addr());
        bridge.terminate();
        assert!(bridge.wait().success());
        let start = &helper.starts()[0];
        for pid in [&start["pid"], &start["child"]] {
            if let Some(pid) = pid.as_i64() {
                ends(pid);
            }
        }
        // It was told by the end of its input, and had the time to do something about it.
        let report = fs::read_to_string(helper.report()).unwrap();
        assert!(report.ends_with("end\n"), "{mode}: {report}");
    }
}

#[test]
fn one_that_breaks_the_rules_goes_with_what_it_has_started() {
    let helper = Helper::new("family");
    let bridge = bridge(&helper, &[]);
    assert_eq!(refusal(bridge.addr(), "garbage").0, 503);
    for name in ["pid", "child"] {
        ends(helper.starts()[0][name].as_i64().unwrap());
    }
    admitted(bridge.addr());
}

#[test]
fn one_that_never_stays_is_started_less_and_less_often() {
    let helper = Helper::new("leaves");
    let target = backend::echo().to_string();
    let options = helper.options();
    let bridge = Bridge::start(&[&options[0], &options[1], "127.0.0.1:{port}", &target]);
    bridge.wait_for_line(|line| line.contains(" again and again: ") && line.contains("in 1 s"));
    bridge.wait_for_line(|line| line.contains(" again and again: ") && line.contains("in 2 s"));
    lines(&bridge, |line| line.contains(" starting it again"), 3);
}

/// What the manual page shows works.
#[test]
fn the_manuals_example_keeps_its_hours() {
    let page = include_str!("../../../man/websockify-helper.7");
    let (_, example) = page.split_once("#!/usr/bin/env python3").unwrap();
    let (example, _) = example.split_once(".Ed").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("office-hours");
    fs::write(&program, format!("#!/usr/bin/env python3{example}")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let source = format!("--auth-source='{}'", program.display());
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--auth-plugin=Exec", &source, "127.0.0.1:{port}", &target]);
    let (status, body) = refusal(bridge.addr(), "");
    assert_eq!((status, &*body), (403, "Come to the office, by day\n"));
    bridge.wait_for_line(|line| line.starts_with("auth failed ") && line.contains("=Exec "));
    bridge.terminate();
    assert!(bridge.wait().success());
    assert!(
        !bridge.stderr().contains("helper office-hours"),
        "{}",
        bridge.stderr()
    );
}
