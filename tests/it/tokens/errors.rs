//! Clients without a target: what they are told, and how.

use std::fs;

use super::{bridge, head, opened, refused};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire, Ws};

#[test]
fn a_close_frame_tells_a_person_what_a_status_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, format!("secret1: {}\n", backend::echo())).unwrap();
    let more = ["--token-errors=close", "--run-once"];
    let bridge = bridge("TokenFile", &tokens, &more);
    for (target, close) in [
        (
            "/?token=secret2",
            "4404 The token is not known: it may be mistyped, revoked or out of date",
        ),
        ("/", "4403 This address needs a token"),
    ] {
        let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head(target));
        assert_eq!(ws.close(), close);
    }
    // Neither of them was the one session.
    drop(opened(&bridge, "/?token=secret1"));
    assert_eq!(bridge.wait().code(), Some(0));
    let log = bridge.stderr();
    let sessions = log.lines().filter(|line| line.starts_with("session "));
    assert_eq!(sessions.count(), 1, "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn tokens_in_paths_hosts_and_headers() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let echo = backend::echo();
    fs::write(&tokens, format!("a: {echo}\nvm.example: {echo}\n")).unwrap();
    let open = |option: &str, head: &str| {
        let bridge = bridge("TokenFile", &tokens, &[option, "--verbose"]);
        Ws::upgrade_with(Wire::connect(bridge.addr()), head).expect_echo("hello");
        let (response, _) = refused(&bridge, "/x?token=y");
        assert!(matches!(response.status, 403 | 404), "{option}");
        let line = bridge.wait_for_line(|line| line.contains("status=101"));
        assert!(!line.contains("/a"), "{option}: {line}");
    };
    open("--token-from=path", &head("/websockify/a?token=b"));
    open(
        "--token-from=header:X-Token",
        &format!("{UPGRADE}X-Token: a\r\n"),
    );
    let named = UPGRADE.replace("Host: bridge", "Host: vm.example:6080");
    open("--host-token", &named);
    open("--token-from=host", &named);
}

#[test]
fn target_config_is_a_token_file() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, format!("a: {}\n", backend::echo())).unwrap();
    let option = format!("--target-config={}", tokens.display());
    let bridge = Bridge::start(&["127.0.0.1:{port}", &option]);
    drop(opened(&bridge, "/?token=a"));
}

/// A stranger learns nothing of tokens, and makes us do no work for them.
#[test]
fn tokens_are_looked_up_for_those_only_who_may_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, format!("a: {}\n", backend::echo())).unwrap();
    let more = ["--auth-plugin=BasicHTTPAuth", "--auth-source=jane:a:b"];
    let bridge = bridge("TokenFile", &tokens, &more);
    for target in ["/?token=a", "/?token=b", "/"] {
        assert_eq!(refused(&bridge, target).0.status, 401, "{target}");
    }
    assert!(!bridge.stderr().contains("token failed"));
    let jane = "Authorization: Basic amFuZTphOmI=\r\n";
    let known = format!("{}{jane}", head("/?token=a"));
    Ws::upgrade_with(Wire::connect(bridge.addr()), &known).expect_echo("hello");
    let unknown = format!("{}{jane}", head("/?token=b"));
    assert_eq!(Wire::connect(bridge.addr()).request(&unknown).status, 404);
}
