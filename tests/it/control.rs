//! `websockify ctl` and its socket; counts for monitoring.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::real::{OURS, python, script};
use crate::wire::{Frame, UPGRADE, Wire, Ws};

/// A bridge with tokens `secret1` and `secret2`, and its control socket.
struct Rig {
    bridge: Bridge,
    folder: TempDir,
}

impl Rig {
    fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let tokens = at("tokens");
        let (one, other) = (backend::echo(), backend::echo());
        let lines = format!(
            "secret1: {one}\nsecret2: {other}\nloop: unix_socket:{}\n",
            at("control").display()
        );
        fs::write(&tokens, lines).unwrap();
        let source = format!("--token-source={}", tokens.display());
        let control = format!("--control-socket={}", at("control").display());
        let args = [
            "127.0.0.1:{port}",
            "--token-plugin=TokenFile",
            &source,
            &control,
        ];
        let bridge = Bridge::start(&[&args, more].concat());
        Self { bridge, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    fn open(&self, token: &str) -> Ws {
        let head = UPGRADE.replace("GET / ", &format!("GET /?token={token} "));
        let mut ws = Ws::upgrade_with(Wire::connect(self.bridge.addr()), &head);
        ws.expect_echo("hello");
        ws
    }

    /// What `websockify ctl` says, and that it succeeds.
    fn ctl(&self, words: &[&str]) -> Value {
        let output = ctl(&self.socket(), words, "");
        assert!(output.status.success(), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn sessions(&self) -> Vec<Value> {
        self.ctl(&["list"])["sessions"].as_array().unwrap().clone()
    }
}

pub(crate) fn ctl(socket: &Path, words: &[&str], input: &str) -> Output {
    let mut child = Command::new(OURS)
        .arg("ctl")
        .args(words)
        .env("WEBSOCKIFY_CONTROL_SOCKET", socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// `printf %s secret1 | sha256sum`
const SECRET1: &str = "5b11618c2e44027877d0cd0921ed166b9f176f50587fc91e7534dd2946db77d6";

const ENDED: &str = "1008 Session ended by the administrator";

#[test]
fn sessions_are_listed_without_their_tokens() {
    let rig = Rig::new(&["--auth-plugin=BasicHTTPAuth", "--auth-source=jane:a:b"]);
    assert_eq!(rig.sessions(), [Value::Null; 0]);
    let head = UPGRADE.replace("GET / ", "GET /?token=secret1 ");
    let head = format!("{head}Authorization: Basic amFuZTphOmI=\r\n");
    let mut ws = Ws::upgrade_with(Wire::connect(rig.bridge.addr()), &head);
    ws.expect_echo("hello");
    let sessions = rig.sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let session = &sessions[0];
    let local = ws.wire.stream().local_addr().unwrap();
    assert_eq!(session["client"], local.to_string());
    assert_eq!(session["identity"], "jane");
    assert_eq!(session["token"], SECRET1[..16]);
    assert_eq!(
        (&session["from_client"], &session["to_client"]),
        (&5.into(), &5.into())
    );
    assert!(session["since"].as_u64().unwrap() > 1_700_000_000);
    assert!(!format!("{sessions:?}").contains("secret"));
    drop(ws);
    rig.bridge
        .wait_for_line(|line| line.starts_with("session "));
    assert_eq!(rig.sessions(), [Value::Null; 0]);
}

#[test]
fn sessions_are_ended_by_number_by_token_and_by_target() {
    let rig = Rig::new(&[]);
    let kill = |words: &[&str]| rig.ctl(&[&["kill"], words].concat())["ended"].clone();
    let (mut one, mut two, mut other) = (
        rig.open("secret1"),
        rig.open("secret1"),
        rig.open("secret2"),
    );
    let sessions = rig.sessions();
    let id = sessions[0]["id"].to_string();
    assert_eq!(kill(&["--id", &id]), 1);
    assert_eq!(one.close(), ENDED);
    let us = format!("client=unix:uid={}", rustix::process::geteuid().as_raw());
    let told = |line: &str| line.contains(&us) && line.ends_with("ended 1 sessions");
    rig.bridge.wait_for_line(told);
    assert_eq!(kill(&["--id", "999"]), 0);
    assert_eq!(kill(&["--token", SECRET1]), 1);
    assert_eq!(two.close(), ENDED);
    other.expect_echo("still here");
    let target = sessions[2]["target"].as_str().unwrap();
    assert_eq!(kill(&["--target", target, "--token", SECRET1]), 0);
    assert_eq!(kill(&["--target", target]), 1);
    assert_eq!(other.close(), ENDED);
    // The token itself, which must not stand on a command line.
    let mut three = rig.open("secret1");
    let output = ctl(&rig.socket(), &["kill", "--token=-"], "secret1\n");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(three.close(), ENDED);
}

/// Who may spell a token in many ways is no harder to find.
#[test]
fn a_token_is_ended_however_its_client_has_spelt_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("names")).unwrap();
    fs::create_dir(at("sockets")).unwrap();
    fs::write(at("names/secret1"), backend::echo().to_string()).unwrap();
    backend::echo_at(&at("sockets/secret1"));
    for (plugin, source, tokens) in [
        ("TokenFileName", "names", ["secret1", "x/secret1"]),
        (
            "UnixDomainSocketDirectory",
            "sockets",
            ["secret1", ".//secret1"],
        ),
    ] {
        let control = at("control");
        let bridge = Bridge::start(&[
            "127.0.0.1:{port}",
            &format!("--token-plugin={plugin}"),
            &format!("--token-source={}", at(source).display()),
            &format!("--control-socket={}", control.display()),
        ]);
        let mut sessions = tokens.map(|token| {
            let head = UPGRADE.replace("GET / ", &format!("GET /?token={token} "));
            let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head);
            ws.expect_echo("hello");
            ws
        });
        let output = ctl(&control, &["kill", "--token", SECRET1], "");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["ended"], 2, "{plugin}");
        for ws in &mut sessions {
            assert_eq!(ws.close(), ENDED, "{plugin}");
        }
    }
}

/// A client that goes on sending has no more say, and does not hold the session.
#[test]
fn nobody_holds_on_to_a_session_that_was_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let (target, heard) = backend::hear("late");
    let control = folder.path().join("control");
    let option = format!("--control-socket={}", control.display());
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target.to_string(), &option]);
    let mut ws = Ws::open(bridge.addr());
    ws.send(&Frame::binary("before"));
    let listed = || -> Value {
        let output = ctl(&control, &["list"], "");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    while listed()["sessions"][0]["from_client"] != 6 {}
    assert!(ctl(&control, &["kill", "--id=1"], "").status.success());
    assert_eq!(ws.close(), ENDED);
    ws.send(&Frame::binary("behind"));
    assert_eq!(backend::next(&heard), b"before");
    bridge.wait_for_line(|line| line.contains("code=1008 by=server"));
}

#[test]
fn the_socket_is_for_root_and_our_own_user() {
    let rig = Rig::new(&[]);
    let found = fs::metadata(rig.socket()).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    // Nor does a token lead there.
    let head = UPGRADE.replace("GET / ", "GET /?token=loop ");
    let mut ws = Ws::upgrade_with(Wire::connect(rig.bridge.addr()), &head);
    assert_eq!(ws.close(), "1008 Target not allowed");
    if !rustix::process::geteuid().is_root() {
        return machine::skip(
            "control::the_socket_is_for_root_and_our_own_user",
            "only root can be somebody else",
        );
    }
    // Whoever comes by permissions that somebody widened is asked for all the same.
    fs::set_permissions(rig.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(rig.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "curl",
            "--silent",
        ])
        .args(["--max-time", "20", "--unix-socket"])
        .arg(rig.socket())
        .arg("http://control/sessions")
        .output()
        .unwrap();
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    rig.bridge
        .wait_for_line(|line| line.contains("uid=65534") && line.contains("neither root"));
}

#[test]
fn what_ctl_cannot_do_is_told() {
    let rig = Rig::new(&[]);
    for (words, status, part) in [
        (&["kill"][..], 2, "--id"),
        (&["kill", "--token=secret1"], 2, "SHA-256"),
        (&["kill", "--id=x"], 2, "'x'"),
        (&["sessions"], 2, "'sessions'"),
        (&["list", "--control-socket=/nowhere"], 1, "/nowhere"),
    ] {
        let output = ctl(&rig.socket(), words, "");
        assert_eq!(output.status.code(), Some(status), "{words:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(part), "{words:?}: {said}");
    }
    let help = ctl(&rig.socket(), &["--help"], "");
    assert!(help.status.success() && help.stdout.starts_with(b"List and end sessions"));
}

#[test]
fn the_runtime_directory_of_systemd_has_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["127.0.0.1:{port}", "127.0.0.1:1"];
    let bridge = Bridge::start_with(&args, |command| {
        command.env("RUNTIME_DIRECTORY", folder.path())
    });
    let control = folder.path().join("control");
    assert!(ctl(&control, &["stats"], "").status.success());
    bridge.terminate();
    bridge.wait();
    assert!(!control.exists());
}

/// Read by the parser of Prometheus' own Python library.
#[test]
fn openmetrics_by_the_socket_and_by_http() {
    let rig = Rig::new(&["--metrics-path=/metrics"]);
    drop(rig.open("secret1"));
    rig.bridge
        .wait_for_line(|line| line.starts_with("session "));
    let _live = rig.open("secret2");
    for (target, status) in [("/?token=nobody", 404), ("/", 403)] {
        let head = UPGRADE.replace("GET / ", &format!("GET {target} "));
        let response = Wire::connect(rig.bridge.addr()).request(&head);
        assert_eq!(response.status, status);
    }
    let mut wire = Wire::connect(rig.bridge.addr());
    let response = wire.request("GET /metrics HTTP/1.1\r\nHost: bridge\r\n");
    let kind = response.header("content-type").unwrap();
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let length = response.header("content-length").unwrap().parse().unwrap();
    let by_http = wire.take(length).unwrap();
    let by_socket = ctl(&rig.socket(), &["metrics"], "").stdout;
    let stats = rig.ctl(&["stats"]);
    assert_eq!(stats["refused"]["unknown_token"], 1);
    assert_eq!(
        (&stats["sessions"], &stats["served"]),
        (&1.into(), &2.into())
    );
    for text in [by_http, by_socket] {
        let mut parser = python()
            .arg(script("clients/openmetrics.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parser.stdin.take().unwrap().write_all(&text).unwrap();
        let output = parser.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&text)
        );
        let samples: Value = serde_json::from_slice(&output.stdout).unwrap();
        for (name, value) in [
            ("websockify_sessions{}", 1.0),
            ("websockify_sessions_started_total{}", 2.0),
            (
                "websockify_payload_bytes_total{direction=from_client}",
                10.0,
            ),
            ("websockify_payload_bytes_total{direction=to_client}", 10.0),
            ("websockify_refused_total{reason=unknown_token}", 1.0),
            ("websockify_refused_total{reason=no_token}", 1.0),
            ("websockify_refused_total{reason=authentication}", 0.0),
            ("websockify_target_connect_seconds_count{}", 2.0),
            ("websockify_target_connect_seconds_bucket{le=+Inf}", 2.0),
        ] {
            assert_eq!(samples[name], value, "{name} in {samples}");
        }
    }
}

#[test]
fn certificates_tell_monitoring_when_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("pem");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=desk.example"])
        .args([
            "-keyout",
            pem.to_str().unwrap(),
            "-out",
            pem.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert!(made.status.success());
    let (cert, control) = (
        format!("--cert={}", pem.display()),
        format!("--control-socket={}", folder.path().join("c").display()),
    );
    let _bridge = Bridge::start(&["127.0.0.1:{port}", "127.0.0.1:1", &cert, &control]);
    let output = ctl(&folder.path().join("c"), &["stats"], "");
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
    let certificate = &stats["certificates"][0];
    assert_eq!(certificate["names"], "desk.example");
    let end = Command::new("openssl")
        .args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
        .arg(&pem)
        .output()
        .unwrap();
    let end = String::from_utf8(end.stdout).unwrap();
    let end = end.trim().strip_prefix("notAfter=").unwrap();
    let date = Command::new("date").args(["--date", end, "+%s"]).output();
    let date = String::from_utf8(date.unwrap().stdout).unwrap();
    assert_eq!(certificate["expires"].to_string(), date.trim());
}
