//! Who may open a WebSocket.

use std::fs;

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::helper::classes;
use crate::real::script;
use crate::wire::{Response, UPGRADE, Wire, Ws};

/// `jane:a:b` in base64.
const JANE: &str = "Authorization: Basic amFuZTphOmI=\r\n";

fn bridge(plugin: &str, source: &str, more: &[&str]) -> Bridge {
    let (plugin, source) = (
        format!("--auth-plugin={plugin}"),
        format!("--auth-source={source}"),
    );
    let target = backend::echo().to_string();
    let args = ["127.0.0.1:{port}", &target, &plugin, &source];
    Bridge::start(&[&args, more].concat())
}

fn basic() -> Bridge {
    bridge("BasicHTTPAuth", "jane:a:b", &[])
}

fn upgrade(bridge: &Bridge, headers: &str) -> Response {
    Wire::connect(bridge.addr()).request(&format!("{UPGRADE}{headers}"))
}

#[test]
fn user_and_password() {
    let bridge = basic();
    let head = format!("{UPGRADE}{JANE}");
    Ws::upgrade_with(Wire::connect(bridge.addr()), &head).expect_echo("hello");
    for headers in ["", "Authorization: Basic amFuZTphOmM=\r\n"] {
        let response = upgrade(&bridge, headers);
        assert_eq!(response.status, 401);
        let challenge = response.header("www-authenticate").unwrap();
        assert!(
            challenge.starts_with("Basic realm=\"Websockify\""),
            "{challenge}"
        );
    }
}

#[test]
fn full_names_of_classes() {
    let bridge = bridge("websockify.auth_plugins.ExpectOrigin", "https://a", &[]);
    assert_eq!(upgrade(&bridge, "Origin: https://a\r\n").status, 101);
}

/// What is no user and password is asked for again, as browsers expect it.
#[test]
fn odd_credentials() {
    let bridge = basic();
    for (header, named) in [
        ("Bearer x", 403),
        ("Basic amFuZQ==", 403),
        ("basic amFuZTphOmM=", 403),
    ] {
        let response = upgrade(&bridge, &format!("Authorization: {header}\r\n"));
        assert_eq!(
            response.status,
            differs("auth-challenge", named, 401),
            "{header}"
        );
    }
    let lower = upgrade(&bridge, &JANE.replace("Basic", "basic"));
    assert_eq!(lower.status, differs("auth-challenge", 403, 101));
}

#[test]
fn broken_credentials() {
    let bridge = basic();
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!(
        "{UPGRADE}Authorization: Basic a\r\nConnection: close\r\n\r\n"
    ));
    let answer = wire.rest();
    assert_eq!(
        answer.starts_with(b"HTTP/1.1 401 "),
        differs("auth-broken", false, true)
    );
    assert_eq!(answer.is_empty(), differs("auth-broken", true, false));
}

#[test]
fn whole_answers() {
    let response = upgrade(&basic(), "");
    let length = response.header("content-length").is_some();
    assert_eq!(length, differs("auth-answer", false, true));
}

#[test]
fn origins() {
    let bridge = bridge("ExpectOrigin", "https://a https://b:8443", &[]);
    for (headers, status) in [
        ("Origin: https://a\r\n", 101),
        ("Origin: https://b:8443\r\n", 101),
        ("Origin: https://b\r\n", 403),
        ("Origin: null\r\n", 403),
        ("", 403),
        ("Origin: HTTPS://A\r\n", differs("origin-case", 403, 101)),
    ] {
        assert_eq!(upgrade(&bridge, headers).status, status, "{headers}");
    }
    let old = UPGRADE.replace("Version: 13", "Version: 8");
    let mut wire = Wire::connect(bridge.addr());
    let status = wire
        .request(&format!("{old}Sec-WebSocket-Origin: https://a\r\n"))
        .status;
    assert_eq!(status, differs("origin-drafts", 403, 101));
}

#[test]
fn pages() {
    let web = tempfile::tempdir().unwrap();
    fs::write(web.path().join("page.html"), "page").unwrap();
    let web = format!("--web={}", web.path().display());
    let head = "GET /page.html HTTP/1.1\r\nHost: bridge\r\n";
    let ask = |bridge: &Bridge, more: &str| {
        let mut wire = Wire::connect(bridge.addr());
        wire.request(&format!("{head}{more}")).status
    };
    let open = bridge("BasicHTTPAuth", "jane:a:b", &[&web]);
    assert_ne!(ask(&open, ""), 401);
    let closed = bridge("BasicHTTPAuth", "jane:a:b", &[&web, "--web-auth"]);
    assert_eq!(ask(&closed, ""), 401);
    assert_ne!(ask(&closed, JANE), 401);
}

/// One that has no plugin to go by, or no file to guard.
#[test]
fn what_cannot_be_meant() {
    for (args, message) in [
        (
            &["--auth-source=a:b"][..],
            "You must use --auth-plugin to use --auth-source",
        ),
        (
            &["--web-auth"],
            "You must use --auth-plugin to use --web-auth",
        ),
        (
            &[
                "--auth-plugin=BasicHTTPAuth",
                "--auth-source=a:b",
                "--web-auth",
            ],
            "You must use --web to use --web-auth",
        ),
    ] {
        let bridge = Bridge::spawn(&[&["127.0.0.1:{port}", "127.0.0.1:1"], args].concat());
        assert_eq!(bridge.wait().code(), Some(2), "{args:?}");
        assert!(bridge.stderr().contains(message), "{}", bridge.stderr());
    }
}

/// Without a source nobody could come in.
#[test]
fn no_source() {
    for plugin in ["BasicHTTPAuth", "ExpectOrigin"] {
        let args = ["127.0.0.1:{port}", "127.0.0.1:1", "--auth-plugin", plugin];
        if differs("auth-source", true, false) {
            Bridge::start(&args);
        } else {
            assert_eq!(Bridge::spawn(&args).wait().code(), Some(2), "{plugin}");
        }
    }
}

/// Nobody shows a certificate unless asked for it.
#[test]
fn certificate_names_without_certificates() {
    let args = [
        "127.0.0.1:{port}",
        &backend::echo().to_string(),
        "--auth-plugin=ClientCertCNAuth",
        "--auth-source=jane",
    ];
    if differs("auth-certificate", true, false) {
        let bridge = Bridge::start(&args);
        assert_eq!(upgrade(&bridge, "ssl_client_s_dn_cn: jane\r\n").status, 101);
    } else {
        assert_eq!(Bridge::spawn(&args).wait().code(), Some(2));
    }
}

/// Several plugins: all must agree, where websockify goes by the last.
#[test]
fn several_plugins() {
    let args = ["--auth-plugin=ExpectOrigin", "--auth-source=https://a"];
    let bridge = bridge("BasicHTTPAuth", "jane:a:b", &args);
    let origin = "Origin: https://a\r\n";
    assert_eq!(
        upgrade(&bridge, origin).status,
        differs("auth-several", 101, 401)
    );
    assert_eq!(upgrade(&bridge, &format!("{origin}{JANE}")).status, 101);
    assert_eq!(upgrade(&bridge, JANE).status, 403);
}

/// A class that somebody wrote.
#[test]
fn a_class_of_ones_own() {
    let class = "--auth-plugin=classes.Door";
    let source = format!("--auth-source={}", classes::line(false, "classes.Door"));
    let target = backend::echo().to_string();
    let to = ["127.0.0.1:{port}", &target];
    let options = if differs("classes", true, false) {
        vec![class]
    } else {
        let refused = Bridge::spawn(&[class, to[0], to[1]]);
        assert_eq!(refused.wait().code(), Some(2));
        vec!["--auth-plugin=Exec", &source]
    };
    let folder = script("clients");
    let args = [&options[..], &to].concat();
    let bridge = Bridge::start_with(&args, |it| it.env("PYTHONPATH", &folder));
    assert_eq!(upgrade(&bridge, "").status, 101);
    let refusal = upgrade(&bridge, "X-Do: teapot\r\n");
    assert_eq!(refusal.status, 418);
    assert_eq!(refusal.header("x-pot"), Some("tea"));
}
