//! What the program is given, and that nothing of it is left, however the end came.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

use super::{Server, children, install, library, started};
use crate::bridge::Bridge;
use crate::machine::{apart, skip};
use crate::process::Process;
use crate::wire::{Frame, Ws};

#[test]
fn sigterm_ends_sessions_first_and_then_the_program() {
    for words in [&[] as &[&str], &["daemon"]] {
        let server = Server::new(words);
        let bridge = server.start(&["--wrap-mode=ignore"]);
        let mut client = Ws::open(bridge.addr());
        client.expect_echo("here");
        bridge.terminate();
        assert_eq!(client.close(), "1001 Server shutting down");
        client.send(&Frame::binary("still there?"));
        client.send(&Frame::close(1001, ""));
        assert_eq!(bridge.wait().code(), Some(0));
        assert_eq!(server.processes(), []);
    }
}

#[test]
fn a_program_that_does_not_hear_is_killed_after_its_grace() {
    let server = Server::new(&["deaf", "daemon"]);
    let bridge = server.start(&["--wrap-mode=ignore"]);
    let began = Instant::now();
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    assert!(began.elapsed() > Duration::from_secs(4));
    assert_eq!(server.processes(), []);
}

#[test]
fn a_killed_bridge_takes_everything_with_it() {
    for words in [&[] as &[&str], &["daemon"], &["deaf"]] {
        let server = Server::new(words);
        let bridge = server.start(&["--wrap-mode=ignore"]);
        Ws::open(bridge.addr()).expect_echo("here");
        bridge.signal(Signal::KILL);
        server.wait_until_gone();
    }
}

#[test]
fn a_second_signal_leaves_the_rest_to_the_supervisor() {
    let server = Server::new(&[]);
    let bridge = server.start(&[]);
    let mut client = Ws::open(bridge.addr());
    client.expect_echo("here");
    bridge.terminate();
    assert_eq!(client.close(), "1001 Server shutting down");
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
    server.wait_until_gone();
}

/// A service manager tells every process of a service to end, also those that wait for others.
#[test]
fn whoever_tells_everybody_to_end_gets_the_same_end() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let server = Server::new(&["daemon"]);
        let bridge = server.start(&["--wrap-mode=respawn"]);
        let others = server.processes();
        for pid in others.into_iter().filter(|pid| *pid != bridge.pid()) {
            let _ = kill_process(pid, signal);
        }
        bridge.terminate();
        assert_eq!(bridge.wait().code(), Some(0));
        assert_eq!(server.processes(), []);
    }
    let server = Server::new(&[]);
    let bridge = server.start(&[]);
    kill_process(started(&bridge), Signal::TERM).unwrap();
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0), "{}", bridge.stderr());
}

#[test]
fn without_its_supervisor_the_bridge_ends_and_says_so() {
    let server = Server::new(&[]);
    let bridge = server.start(&["--wrap-mode=respawn"]);
    let supervisor = server.supervisor(&bridge);
    kill_process(supervisor, Signal::KILL).unwrap();
    bridge.wait_for_line(|line| line == "the supervisor of server is gone");
    assert_eq!(bridge.wait().code(), Some(1));
    server.wait_until_gone();
}

/// What a shell command says of itself, line by line.
fn lines(options: &[&str], command: &str, under: &[&str]) -> Vec<String> {
    library();
    let mut args = vec!["127.0.0.1:{port}"];
    args.extend(options);
    args.extend(["--", "sh", "-c", command]);
    let bridge = Bridge::spawn_under(under, &args);
    assert_eq!(bridge.wait().code(), Some(0), "{}", bridge.stderr());
    let said = bridge.stderr();
    let said = said.lines().filter_map(|line| line.strip_prefix("sh: "));
    said.map(str::to_owned).collect()
}

#[test]
fn signals_and_descriptors_are_as_for_a_program_that_is_started_anew() {
    let said = lines(
        &[],
        "grep -E '^Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd; readlink /proc/self/fd/0; \
         ps -o pgid= -p $$ | tr -d ' '; echo $$",
        // Somebody who ignores signals, and leaves files open.
        &[
            "sh",
            "-c",
            "trap '' HUP INT QUIT USR1 TSTP; exec \"$@\" 7</dev/zero 9<&0",
            "sh",
        ],
    );
    let [blocked, ignored, zero, one, two, listing, input, group, pid] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(blocked, "SigBlk:\\t0000000000000000");
    // Without 32 and 33, which the C library keeps from everybody, whoever ignores them.
    let ignored = ignored.strip_prefix("SigIgn:\\t").unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    assert_eq!(ignored & !(0b11 << 31), 0, "{ignored:x}");
    assert_eq!([zero, one, two, listing], ["0", "1", "2", "3"]);
    assert_eq!(input, "/dev/null");
    assert_eq!(group, pid);
}

#[test]
fn the_environment_is_the_callers_without_what_is_ours() {
    let said = lines(
        &[],
        // Its parent's is for everybody of the same user to read (proc_pid_environ(5)).
        "env; tr '\\0' '\\n' </proc/$PPID/environ",
        &[
            "env",
            "WEBSOCKIFY_HEARTBEAT=7",
            "WEBSOCKIFY_HEALTH_PATH=/secret",
            "WEBSOCKIFY_KEY_PASSWORD=secret",
            "LISTEN_FDNAMES=x",
            "WATCHDOG_USEC=1",
            "LD_PRELOAD=libc.so.6",
            "COLOUR=green",
        ],
    );
    let has = |name: &str| said.iter().find_map(|line| line.strip_prefix(name));
    let green = said.iter().filter(|line| *line == "COLOUR=green");
    assert_eq!(green.count(), 2, "{said:?}");
    assert_eq!(
        has("LD_PRELOAD="),
        Some(&*format!("{}:libc.so.6", library().display()))
    );
    let ports = (has("REBIND_OLD_PORT="), has("REBIND_NEW_PORT="));
    assert!(
        matches!(ports, (Some(old), Some(new)) if old != new),
        "{ports:?}"
    );
    for line in &said {
        for name in [
            "WEBSOCKIFY_",
            "LISTEN_",
            "WATCHDOG_",
            "NOTIFY_SOCKET",
            "secret",
        ] {
            assert!(!line.contains(name), "{line}");
        }
    }
}

/// The numbers in /proc are those of the namespace that it was mounted in.
#[test]
fn a_program_is_ended_in_a_pid_namespace_without_a_proc_of_its_own() {
    let name = "wrap::supervision::a_program_is_ended_in_a_pid_namespace_without_a_proc_of_its_own";
    let Some(words) = apart("--pid", name) else {
        return;
    };
    library();
    // Outside, the second process is the kernel's and the third its child: ours have other numbers.
    let script = "for _ in 1 2 3 4 5 6 7 8 9; do (:); done; exec \"$@\"";
    let words = [words.as_slice(), &["--fork", "sh", "-c", script, "sh"]].concat();
    let command = "trap 'echo told; exit' TERM; echo up; sleep 60 & wait";
    let args = ["127.0.0.1:{port}", "--", "sh", "-c", command];
    let starter = Bridge::spawn_under(&words, &args);
    starter.wait_for_line(|line| line == "sh: up");
    // unshare(1) itself does not hear.
    let [bridge] = children(starter.pid())[..] else {
        panic!("{starter:?}");
    };
    kill_process(Pid::from_raw(bridge).unwrap(), Signal::TERM).unwrap();
    starter.wait_for_line(|line| line == "sh: told");
    assert_eq!(starter.wait().code(), Some(0), "{}", starter.stderr());
}

#[test]
fn what_the_program_says_can_neither_forge_a_record_nor_fill_the_log() {
    let long = 5000;
    let said = lines(
        &[],
        &format!(
            r"printf 'one\ntwo'; sleep 0; printf ' \033[31m\n<3>session client=x\n' >&2;
            head -c {long} /dev/zero | tr '\0' x; printf '\nlast'"
        ),
        &[],
    );
    assert!(
        said.contains(&"one".into()) && said.contains(&"last".into()),
        "{said:?}"
    );
    assert!(said.contains(&"<3>session client=x".into()), "{said:?}");
    assert!(
        said.iter().any(|line| line.ends_with(" \\u{1b}[31m")),
        "{said:?}"
    );
    let longest = said.iter().map(String::len).max().unwrap();
    assert!((1024..1100).contains(&longest), "{longest}");
}

#[test]
fn another_user_with_groups_and_home() {
    let test = "wrap::supervision::another_user_with_groups_and_home";
    if !getuid().is_root() {
        return skip(test, "only root becomes another user");
    }
    // Somebody with a second group, if there is one.
    let groups = fs::read_to_string("/etc/group").unwrap();
    let users = groups.lines().filter_map(|line| line.rsplit(':').next());
    let user = users
        .flat_map(|users| users.split(','))
        .find(|user| !user.is_empty() && *user != "root")
        .unwrap_or("nobody");
    // Where that user can read the library.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let bridge = folder.path().join("websockify");
    install("755", Path::new(crate::real::OURS), &bridge);
    install("644", library(), &folder.path().join("rebind.so"));
    let expected = Command::new("id").arg(user).output().unwrap();
    let run = |user: &str, command: &str| {
        let port = crate::bridge::free_port().to_string();
        let mut line = Command::new(&bridge);
        line.args([&port, "--wrap-user", user, "--", "sh", "-c", command]);
        let process = Process::spawn(line.stdin(Stdio::null()).current_dir("/"), None);
        (process.wait().code(), process.stderr())
    };
    let (status, said) = run(user, "id; echo $HOME $USER $LOGNAME");
    assert_eq!(status, Some(0), "{said}");
    let expected = String::from_utf8(expected.stdout).unwrap();
    assert!(
        said.contains(&format!("sh: {}", expected.trim_end())),
        "{said}"
    );
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let entry = passwd
        .lines()
        .find(|line| line.starts_with(&format!("{user}:")));
    let home = entry.unwrap().split(':').nth(5).unwrap();
    assert!(
        said.contains(&format!("sh: {home} {user} {user}\n")),
        "{said}"
    );
    let (status, said) = run("no-such-user", "true");
    assert_eq!(status, Some(1));
    assert!(
        said.contains("there is no user 'no-such-user' here"),
        "{said}"
    );
}
