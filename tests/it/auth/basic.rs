//! User and password.

use std::fs;

use rustix::process::Signal;

use super::{BCRYPT, JANE, JANE_SECRET, MARY_SECRET, admitted, refusal};
use crate::backend;
use crate::bridge::Bridge;
use crate::files::replace;
use crate::wire::{UPGRADE, Wire};

fn bridge(source: &str) -> Bridge {
    let target = backend::echo().to_string();
    Bridge::start(&[
        "-v",
        "--auth-plugin=BasicHTTPAuth",
        &format!("--auth-source={source}"),
        "127.0.0.1:{port}",
        &target,
    ])
}

#[test]
fn a_literal_user_comes_in_and_is_named_in_the_record() {
    let bridge = bridge("jane:a:b");
    drop(admitted(bridge.addr(), JANE));
    drop(admitted(
        bridge.addr(),
        "authorization: BASIC amFuZTphOmI\r\n",
    ));
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains(" identity=\"jane\" "), "{record}");
    let request = bridge.wait_for_line(|line| line.starts_with("request "));
    assert!(request.contains(" identity=\"jane\" "), "{request}");
    assert!(!bridge.stderr().contains("a:b"));
}

#[test]
fn nobody_else_comes_in_and_everybody_is_asked_again() {
    let bridge = bridge("jane:a:b");
    for (headers, reason) in [
        ("", "no credentials"),
        (
            "Authorization: Basic amFuZTphOmM=\r\n",
            "wrong user or password",
        ),
        (
            "Authorization: Basic bWFyeTphOmI=\r\n",
            "wrong user or password",
        ),
        (
            "Authorization: Basic amFuZTo=\r\n",
            "wrong user or password",
        ),
        ("Authorization: Bearer x\r\n", "not the Basic scheme"),
        ("Authorization: Basic amFuZQ==\r\n", "malformed credentials"),
        (&format!("{JANE}{JANE}"), "several credentials"),
    ] {
        let response = refusal(bridge.addr(), headers);
        assert_eq!(response.status, 401, "{headers}");
        assert_eq!(
            response.header("www-authenticate"),
            Some("Basic realm=\"Websockify\", charset=\"UTF-8\"")
        );
        bridge.wait_for_line(|line| {
            line.starts_with("auth failed client=127.0.0.1:")
                && line.contains(&format!(" plugin=BasicHTTPAuth reason=\"{reason}\""))
        });
    }
    // jane:a:c, in any form.
    for secret in ["a:c", "amFuZTphOmM"] {
        assert!(!bridge.stderr().contains(secret));
    }
}

#[test]
fn broken_base64_is_answered() {
    let bridge = bridge("jane:a:b");
    for rest in ["a", "amFuZTphOmI*", "====", "\u{fc}", ""] {
        let response = refusal(bridge.addr(), &format!("Authorization: Basic {rest}\r\n"));
        assert_eq!(response.status, 401, "{rest}");
    }
}

#[test]
fn a_wrong_user_name_cannot_forge_a_line() {
    let bridge = bridge("jane:a:b");
    // `x`, a new line, `auth failed client=1.2.3.4" ` and a password.
    let user = "Authorization: Basic eAphdXRoIGZhaWxlZCBjbGllbnQ9MS4yLjMuNCIgOnB3\r\n";
    refusal(bridge.addr(), user);
    let line = bridge.wait_for_line(|line| line.contains(" user=\""));
    assert!(
        line.ends_with(" user=\"x\\nauth failed client=1.2.3.4\\\" \""),
        "{line}"
    );
}

#[test]
fn libserver_opens_no_door() {
    let bridge = Bridge::start(&[
        "--libserver",
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
        "127.0.0.1:{port}",
        &backend::echo().to_string(),
    ]);
    assert_eq!(refusal(bridge.addr(), "").status, 401);
    admitted(bridge.addr(), JANE).expect_echo("hello");
}

/// The target is not asked, and no session counted, before the password is right.
#[test]
fn strangers_cause_no_work() {
    let (target, heard) = backend::hear("");
    let bridge = Bridge::start(&[
        "--run-once",
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
        "127.0.0.1:{port}",
        &target.to_string(),
    ]);
    assert_eq!(refusal(bridge.addr(), "").status, 401);
    assert!(heard.try_recv().is_err());
    let mut wire = Wire::connect(bridge.addr());
    assert_eq!(wire.request(&format!("{UPGRADE}{JANE}")).status, 101);
    drop(wire);
    assert_eq!(backend::next(&heard), b"");
    assert_eq!(bridge.wait().code(), Some(0));
}

#[test]
fn several_tries_on_one_connection() {
    let bridge = bridge("jane:a:b");
    let mut wire = Wire::connect(bridge.addr());
    let response = wire.request(UPGRADE);
    assert_eq!(response.status, 401);
    wire.take(response.header("content-length").unwrap().parse().unwrap());
    assert_eq!(wire.request(&format!("{UPGRADE}{JANE}")).status, 101);
}

#[test]
fn a_password_file_is_read_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    fs::write(&file, format!("# ours\njane:{BCRYPT}\n")).unwrap();
    let bridge = bridge(&format!("@{}", file.display()));
    let _session = admitted(bridge.addr(), JANE_SECRET);
    assert_eq!(refusal(bridge.addr(), JANE).status, 401);
    assert_eq!(refusal(bridge.addr(), MARY_SECRET).status, 401);

    // A bad file changes nothing, and the log says where it is bad.
    replace(&file, "mary:$apr1$x$y\n");
    bridge.signal(Signal::HUP);
    let line = bridge.wait_for_line(|line| line.starts_with("not reloaded"));
    assert!(
        line.contains("users:1: an MD5 hash is not accepted"),
        "{line}"
    );
    drop(admitted(bridge.addr(), JANE_SECRET));

    // Who is gone is out, whatever was remembered; nobody has to be told of the change.
    replace(&file, &format!("mary:{BCRYPT}\n"));
    bridge.wait_for_line(|line| line == "reloaded");
    drop(admitted(bridge.addr(), MARY_SECRET));
    assert_eq!(refusal(bridge.addr(), JANE_SECRET).status, 401);
}

#[test]
fn a_password_file_that_is_no_good_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users");
    let source = format!("--auth-source=htpasswd:{}", file.display());
    for (content, part) in [
        (None, "users: No such file"),
        (Some(""), "users: there is no user in it"),
        (Some("jane:secret\n"), "users:1: a crypt(3) hash or a plain"),
        (Some("#\njane:{SHA}x\n"), "users:2: an unsalted SHA-1 hash"),
        (Some("jane\n"), "users:1: it is not USER:HASH"),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let args = [
            "--auth-plugin=BasicHTTPAuth",
            &source,
            "127.0.0.1:{port}",
            "h:1",
        ];
        let bridge = Bridge::spawn(&args);
        assert_eq!(bridge.wait().code(), Some(1), "{content:?}");
        assert!(bridge.stderr().contains(part), "{}", bridge.stderr());
        assert!(!bridge.stderr().contains("secret"));
    }
}

#[test]
fn from_the_environment_as_full_names_and_all_must_agree() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start_with(&["127.0.0.1:{port}", &target], |command| {
        let class = |name: &str| format!("websockify.auth_plugins.{name}");
        let classes = [class("ExpectOrigin"), class("BasicHTTPAuth")].join(",");
        command
            .env("WEBSOCKIFY_AUTH_PLUGIN", classes)
            .env("WEBSOCKIFY_AUTH_SOURCE", "https://a https://b\njane:a:b")
    });
    admitted(bridge.addr(), &format!("Origin: https://b\r\n{JANE}"));
    assert_eq!(refusal(bridge.addr(), "Origin: https://b\r\n").status, 401);
    assert_eq!(refusal(bridge.addr(), JANE).status, 403);
}
