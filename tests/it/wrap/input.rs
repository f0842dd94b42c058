//! What cannot be wrapped is said at start; what is wrapped in vain is said when it shows.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getuid};

use super::{Server, compiled, install, install_script, library};
use crate::bridge::Bridge;
use crate::machine::skip;
use crate::real::{OURS, script, succeeds};
use crate::wire::{Frame, Ws};

fn refused(command: &[&str], status: i32, parts: &[&str]) {
    library();
    let mut args = vec!["127.0.0.1:{port}", "--"];
    args.extend(command);
    let bridge = Bridge::spawn(&args);
    assert_eq!(
        bridge.wait().code(),
        Some(status),
        "{command:?}: {bridge:?}"
    );
    let stderr = bridge.stderr();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no '{part}' in {stderr}");
    }
}

#[test]
fn what_is_no_program() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "no program").unwrap();
    let text = text.to_str().unwrap();
    refused(&["no-such-program"], 1, &["no-such-program", "PATH="]);
    refused(
        &["/no/such/program"],
        1,
        &["/no/such/program", "No such file"],
    );
    refused(&[text], 1, &[text, "not executable"]);
    refused(&["/usr"], 1, &["/usr", "no file"]);
    refused(&[""], 2, &["name of the program is empty"]);
}

const ELSEWHERE: &str = "Let it listen on another port, and give that as the target";

#[test]
fn what_no_library_can_be_preloaded_into() {
    let folder = tempfile::tempdir().unwrap();
    let fixed = compiled("server", &["-static"]);
    refused(
        &[fixed.to_str().unwrap(), "1"],
        1,
        &["linked statically", ELSEWHERE],
    );
    let by_script = folder.path().join("script");
    install_script(&format!("#!{} 1\n", fixed.display()), &by_script);
    refused(&[by_script.to_str().unwrap()], 1, &["linked statically"]);
    let mut foreign = fs::read(compiled("server", &[])).unwrap();
    // e_machine, made into another processor's.
    foreign[0x12] ^= 1;
    let path = folder.path().join("foreign");
    fs::write(&path, foreign).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    refused(&[path.to_str().unwrap()], 1, &["another kind of processor"]);
}

/// esbuild is written in Go, and has a server.
#[test]
fn a_program_of_go() {
    let modules = script("browser/node_modules/@esbuild");
    let program = fs::read_dir(&modules)
        .unwrap_or_else(|error| panic!("{}: {error}; see tools/setup-test.sh", modules.display()))
        .map(|entry| entry.unwrap().path().join("bin/esbuild"))
        .find(|path| path.exists())
        .unwrap();
    let program = program.to_str().unwrap();
    refused(
        &[program, "--serve=5901"],
        1,
        &["as programs in Go are", ELSEWHERE],
    );
}

#[test]
fn a_program_that_changes_its_rights() {
    let test = "wrap::input::a_program_that_changes_its_rights";
    if !getuid().is_root() {
        return skip(test, "only root gives a program to another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    install("755", &compiled("server", &[]), &program);
    for mode in [0o4755, 0o2755] {
        chown(&program, Some(65534), Some(65534)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let name = program.to_str().unwrap();
        refused(&[name, "1"], 1, &["setuid", ELSEWHERE]);
    }
    // Whoever is that user already gains nothing.
    chown(&program, Some(0), Some(0)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let name = program.to_str().unwrap();
    Ws::open(Bridge::start(&["127.0.0.1:{port}", "--", name, "{port}"]).addr()).expect_echo("here");
}

#[test]
fn a_bridge_without_its_library() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("bin/websockify");
    fs::create_dir(alone.parent().unwrap()).unwrap();
    install("755", Path::new(OURS), &alone);
    let run = || {
        let output = Command::new(&alone).args(["1", "--", "true"]).output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, said) = run();
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("no rebind.so") && said.contains("make install"),
        "{said}"
    );
    // Where websockify's own is, there it is looked for.
    for place in ["lib/websockify/rebind.so", "lib/rebind.so", "bin/rebind.so"] {
        let place = folder.path().join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library(), &place).unwrap();
        let port = crate::bridge::free_port().to_string();
        let output = Command::new(&alone)
            .args([&port, "--", "sh", "-c", "echo $LD_PRELOAD"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let real = fs::canonicalize(&place).unwrap();
        assert!(
            said.contains(&format!("sh: {}\n", real.display())),
            "{said}"
        );
        fs::remove_file(place).unwrap();
    }
}

#[test]
fn a_port_that_is_taken_starts_nothing() {
    let server = Server::new(&[]);
    let bridge = server.start(&[]);
    let taken = bridge.addr().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let other = Bridge::spawn(&[&taken, "--", "touch", file.to_str().unwrap()]);
    assert_eq!(other.wait().code(), Some(1));
    assert!(other.stderr().contains("in use"), "{}", other.stderr());
    assert!(!file.exists());
}

#[test]
fn a_client_that_comes_too_early_waits_for_the_program() {
    library();
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("go");
    succeeds(Command::new("mkfifo").arg(&fifo));
    let server = compiled("server", &[]);
    let command = format!(
        "read go <{}; exec {} {{port}}",
        fifo.display(),
        server.display()
    );
    let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--", "sh", "-c", &command]);
    bridge.wait_for_line(|line| line.starts_with("sh started"));
    bridge.wait_until("its state", |seen| {
        let told = seen
            .notices
            .contains("STATUS=0 sessions, 0 served, target localhost:");
        (told && seen.notices.contains(", sh starting")).then_some(())
    });
    let mut client = Ws::open(bridge.addr());
    client.send(&Frame::binary("early"));
    bridge.wait_until("the client in the status", |_| Some(()));
    assert!(!bridge.wait_until("no readiness", |seen| Some(
        seen.notices.contains("READY=1")
    )));
    fs::write(&fifo, "go\n").unwrap();
    assert_eq!(client.recv_data(5), b"early");
    bridge.wait_until("readiness", |seen| {
        let ready = seen.notices.contains("READY=1");
        (ready && seen.notices.contains(", sh listening")).then_some(())
    });
}

#[test]
fn a_program_that_never_listens_there() {
    library();
    let server = compiled("server", &[]);
    let elsewhere = crate::bridge::free_port().to_string();
    let began = Instant::now();
    let args = [
        "127.0.0.1:{port}",
        "--",
        server.to_str().unwrap(),
        &elsewhere,
    ];
    let bridge = Bridge::spawn(&args);
    bridge.wait_for_line(|line| line.starts_with("server started"));
    // A reload ends in READY=1 as well: it waits until that is true.
    bridge.signal(Signal::HUP);
    let mut client = Ws::open(bridge.addr());
    let complaint = bridge.wait_for_line(|line| line.contains("has not bound port"));
    assert!(complaint.contains(&format!("server has not bound port {} ", bridge.port())));
    assert!(began.elapsed() > Duration::from_secs(9));
    assert_eq!(
        client.close(),
        "1011 The program is not ready yet: try again"
    );
    let before = bridge.wait_until("readiness all the same", |seen| {
        let (before, told) = seen.notices.split_once("READY=1\n")?;
        // The first word of it, too.
        assert!(told.starts_with("STATUS=") || told.is_empty(), "{told}");
        let status = told.lines().next().unwrap_or_default();
        assert!(!status.contains(", server starting"), "{status}");
        let again = told.contains("RELOADING=1\n") && told.contains("READY=1\n");
        (again && told.contains(", server not listening")).then(|| before.to_owned())
    });
    assert!(!before.contains("RELOADING=1"), "{before}");
}

#[test]
fn programs_that_listen_by_ipv6() {
    let test = "wrap::input::programs_that_listen_by_ipv6";
    if !Path::new("/proc/net/if_inet6").exists() {
        return skip(test, "no IPv6 here");
    }
    for words in ["only6", "dual6"] {
        let server = Server::new(&[words]);
        let bridge = server.start(&[]);
        Ws::open(bridge.addr()).expect_echo("here");
    }
}

#[test]
fn the_port_of_the_program_beside_another_socket_of_ours() {
    let server = Server::new(&[]);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let mut line = server.line(&["--unix-listen", socket.to_str().unwrap()]);
    line[0] = "{port}";
    let _bridge = Bridge::start(&line);
    let wire = crate::wire::Wire::connect_unix(&socket);
    Ws::upgrade(wire).expect_echo("here");
}
