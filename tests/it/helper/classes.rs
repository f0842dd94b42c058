//! Classes written for Python websockify, behind examples/python-class.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{admitted, answer, asking, refusal};
use crate::backend;
use crate::bridge::Bridge;
use crate::real::{python, script};
use crate::wire::{UPGRADE, Wire, Ws};

/// The words that run a class: by the tests' Python, which has websockify, or by one that has
/// nothing but its own library.
pub(crate) fn line(with_websockify: bool, class: &str) -> String {
    let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python-class/websockify-class");
    let folder = script("clients");
    let python = python();
    let program = python.get_program().to_str().unwrap();
    let alone = if with_websockify { "" } else { "-S" };
    format!(
        "'{program}' {alone} '{}' --path '{}' {class}",
        shim.display(),
        folder.display()
    )
}

fn bridge(line: &str, target: SocketAddr) -> Bridge {
    let source = format!("--auth-source={line}");
    let target = target.to_string();
    Bridge::start(&["--auth-plugin=Exec", &source, "127.0.0.1:{port}", &target])
}

#[test]
fn an_authentication_class_runs_as_it_is() {
    for with_websockify in [true, false] {
        let bridge = bridge(&line(with_websockify, "classes.Door"), backend::echo());
        let addr = bridge.addr();
        drop(admitted(addr));
        let mut wire = Wire::connect(addr);
        let response = wire.request(&asking("teapot"));
        assert_eq!(response.status, 418);
        assert_eq!(response.header("x-pot"), Some("tea"));
        assert_eq!(wire.take(14).unwrap(), b"short & stout\n");
        bridge.wait_for_line(|line| line.ends_with(" helper=\"418 no coffee\""));
        let head = format!("{}Origin: https://b\r\n", asking("origin"));
        assert_eq!(answer(&mut wire, &head), (403, "Invalid Origin\n".into()));
        let (status, body) = refusal(addr, "long");
        assert_eq!((status, body.chars().count()), (403, 501));
        assert_eq!(refusal(addr, "bare"), (403, "Forbidden\n".into()));
        // A class that breaks lets nobody in, and tells nothing of what it was given.
        for what in ["raise", "exit"] {
            let mut wire = Wire::connect(addr);
            let head = format!("{}Cookie: s3cret\r\n", asking(what));
            assert_eq!(answer(&mut wire, &head).0, 503, "{what}");
        }
        bridge.wait_for_line(|line| line.contains("classes.Door raised ValueError at classes.py:"));
        assert!(!bridge.stderr().contains("s3cret"));
        bridge.wait_for_line(|line| line.ends_with(": a class that prints"));
        drop(admitted(addr));
    }
}

#[test]
fn websockifys_own_classes_run_too() {
    let bridge = bridge(&line(true, "BasicHTTPAuth jane:a:b"), backend::echo());
    let mut wire = Wire::connect(bridge.addr());
    let response = wire.request(UPGRADE);
    assert_eq!(response.status, 401);
    let realm = "Basic realm=\"Websockify\"";
    assert_eq!(response.header("www-authenticate"), Some(realm));
    let head = format!("{UPGRADE}Authorization: Basic amFuZTphOmI=\r\n");
    Ws::upgrade_with(Wire::connect(bridge.addr()), &head).expect_echo("hello");
}

#[test]
fn nobody_is_named_by_a_header_that_only_tls_may_set() {
    let bridge = bridge(&line(true, "ClientCertCNAuth jane"), backend::echo());
    for name in ["SSL_CLIENT_S_DN_CN", "ssl_client_s_dn_cn"] {
        let head = format!("{UPGRADE}{name}: jane\r\n");
        assert_eq!(answer(&mut Wire::connect(bridge.addr()), &head).0, 403);
    }
}

#[test]
fn a_class_that_looks_at_the_target_is_asked_when_there_is_one() {
    let (here, there) = (backend::echo(), backend::echo());
    let one = format!("classes.Door {} --needs-target", here.port());
    drop(admitted(bridge(&line(false, &one), here).addr()));
    let (status, body) = refusal(bridge(&line(false, &one), there).addr(), "");
    assert_eq!(
        (status, body),
        (403, format!("not {}:{}\n", there.ip(), there.port()))
    );

    let tokens = tempfile::NamedTempFile::new().unwrap();
    fs::write(&tokens, format!("here: {here}\nthere: {there}\n")).unwrap();
    let head = |token: &str| UPGRADE.replace("GET / ", &format!("GET /?token={token} "));
    for (flag, reached) in [(" --needs-target", 101), ("", 403)] {
        let class = format!("classes.Door {}{flag}", here.port());
        let bridge = Bridge::start(&[
            "--auth-plugin=Exec",
            &format!("--auth-source={}", line(false, &class)),
            "--token-plugin=TokenFile",
            &format!("--token-source={}", tokens.path().display()),
            "127.0.0.1:{port}",
        ]);
        let status = |token| Wire::connect(bridge.addr()).request(&head(token)).status;
        assert_eq!(status("here"), reached, "{flag}");
        assert_eq!(status("there"), 403);
        // Who may not come in does not learn which tokens there are.
        let unknown = if flag.is_empty() { 403 } else { 404 };
        assert_eq!(status("unknown"), unknown);
    }
}

#[test]
fn a_token_class_runs_as_it_is() {
    let target = backend::echo();
    for with_websockify in [true, false] {
        let class = format!("classes.Fleet {target}");
        let source = format!("--token-source={}", line(with_websockify, &class));
        let bridge = Bridge::start(&["--token-plugin=Exec", &source, "127.0.0.1:{port}"]);
        let head = |token: &str| UPGRADE.replace("GET / ", &format!("GET /?token={token} "));
        for token in ["pair", "list", "bytes"] {
            let wire = Wire::connect(bridge.addr());
            Ws::upgrade_with(wire, &head(token)).expect_echo("hello");
        }
        let wire = Wire::connect(bridge.addr());
        let close = Ws::upgrade_with(wire, &head("unix")).close();
        assert!(close.starts_with("1011"), "{close}");
        for (token, status) in [("unknown", 404), ("three", 503)] {
            let mut wire = Wire::connect(bridge.addr());
            assert_eq!(answer(&mut wire, &head(token)).0, status, "{token}");
        }
    }
}

#[test]
fn websockifys_own_token_file_runs_too() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    fs::write(&tokens, format!("one: {}\n", backend::echo())).unwrap();
    let class = format!("TokenFile '{}'", tokens.path().display());
    let source = format!("--token-source={}", line(true, &class));
    let bridge = Bridge::start(&["--token-plugin=Exec", &source, "127.0.0.1:{port}"]);
    let head = UPGRADE.replace("GET / ", "GET /?token=one ");
    Ws::upgrade_with(Wire::connect(bridge.addr()), &head).expect_echo("hello");
}

#[test]
fn a_class_that_is_not_there_ends_the_start() {
    for (class, part) in [
        ("nowhere.Door", "No module named 'nowhere'"),
        ("classes.Nobody", "has no attribute 'Nobody'"),
        ("Nobody", "websockify has no class Nobody here"),
    ] {
        let source = format!("--auth-source={}", line(false, class));
        let bridge = Bridge::spawn(&["--auth-plugin=Exec", &source, "127.0.0.1:{port}", "h:1"]);
        assert_eq!(bridge.wait().code(), Some(1), "{class}");
        let stderr = bridge.stderr();
        assert!(stderr.contains(part), "{stderr}");
        assert!(
            stderr.trim_end().ends_with(" ended (exit status: 1)"),
            "{stderr}"
        );
    }
}
