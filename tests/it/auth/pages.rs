//! --web-auth, and the pass for browsers that send no password with a WebSocket.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::{JANE, admitted, refusal};
use crate::backend;
use crate::bridge::Bridge;
use crate::tls::{Authority, Dialer};
use crate::wire::{Response, UPGRADE, Wire, Ws};

fn bridge() -> (Bridge, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vnc.html"), "a page").unwrap();
    let bridge = Bridge::start(&[
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
        "--web-auth",
        &format!("--web={}", folder.path().display()),
        "--health-path=/healthz",
        "127.0.0.1:{port}",
        &backend::echo().to_string(),
    ]);
    (bridge, folder)
}

fn ask(addr: SocketAddr, request: &str, headers: &str) -> Response {
    Wire::connect(addr).request(&format!("{request} HTTP/1.1\r\nHost: bridge\r\n{headers}"))
}

/// A pass as a browser would send it back.
fn pass(bridge: &Bridge) -> String {
    let response = ask(bridge.addr(), "GET /vnc.html", JANE);
    let cookie = response.header("set-cookie").unwrap();
    let (cookie, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Max-Age=300; Path=/; HttpOnly; SameSite=Strict");
    assert!(cookie.starts_with("websockify-"), "{cookie}");
    format!("Cookie: other=1; {cookie}\r\n")
}

#[test]
fn pages_ask_for_the_password_and_the_health_check_does_not() {
    let (bridge, _folder) = bridge();
    for method in ["GET", "HEAD"] {
        for path in ["/vnc.html", "/", "/nothing"] {
            let response = ask(bridge.addr(), &format!("{method} {path}"), "");
            assert_eq!(response.status, 401, "{method} {path}");
            assert!(response.header("www-authenticate").is_some());
            assert!(response.header("set-cookie").is_none());
        }
        assert_eq!(
            ask(bridge.addr(), &format!("{method} /vnc.html"), JANE).status,
            200
        );
        assert_eq!(
            ask(bridge.addr(), &format!("{method} /healthz"), "").status,
            200
        );
    }
    assert_eq!(ask(bridge.addr(), "GET /nothing", JANE).status, 404);
    assert_eq!(ask(bridge.addr(), "POST /vnc.html", "").status, 405);
}

#[test]
fn pages_are_open_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vnc.html"), "a page").unwrap();
    let bridge = Bridge::start(&[
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
        &format!("--web={}", folder.path().display()),
        "127.0.0.1:{port}",
        "127.0.0.1:1",
    ]);
    let response = ask(bridge.addr(), "GET /vnc.html", JANE);
    assert_eq!(
        (response.status, response.header("set-cookie")),
        (200, None)
    );
    assert_eq!(refusal(bridge.addr(), "").status, 401);
}

#[test]
fn a_pass_opens_a_websocket_and_nothing_else() {
    let (bridge, _folder) = bridge();
    let pass = pass(&bridge);
    drop(admitted(bridge.addr(), &pass));
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains(" identity=\"jane\" "), "{record}");
    admitted(bridge.addr(), &format!("{pass}Origin: http://bridge\r\n"));
    assert_eq!(
        refusal(bridge.addr(), &format!("{pass}Origin: http://evil\r\n")).status,
        401
    );
    assert_eq!(
        refusal(bridge.addr(), &format!("{pass}Origin: null\r\n")).status,
        401
    );
    assert_eq!(ask(bridge.addr(), "GET /vnc.html", &pass).status, 401);
    let wrong = format!("{pass}Authorization: Basic amFuZTp4\r\n");
    assert_eq!(refusal(bridge.addr(), &wrong).status, 401);
    let forged = pass.trim_end();
    let forged = format!("{}{}\r\n", &forged[..forged.len() - 2], "AA");
    assert_eq!(refusal(bridge.addr(), &forged).status, 401);
    assert!(
        !bridge.stderr().contains("websockify-"),
        "a pass is in the log"
    );
}

#[test]
fn another_process_does_not_know_a_pass() {
    let (first, _folder) = bridge();
    let (second, _other) = bridge();
    assert_eq!(refusal(second.addr(), &pass(&first)).status, 401);
}

#[test]
fn inside_tls_a_pass_is_for_this_host_and_tls_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vnc.html"), "a page").unwrap();
    let ca = Authority::new();
    let web = format!("--web={}", folder.path().display());
    let plugin = ["--auth-plugin=BasicHTTPAuth", "--auth-source=jane:a:b"];
    let target = backend::echo().to_string();
    let to = ["--web-auth", &web, "127.0.0.1:{port}", &target];
    let bridge = Bridge::start(&[&ca.here().options()[..], &plugin, &to].concat());
    let mut page = Dialer::new(&ca).dial(bridge.addr()).unwrap().wire;
    let head = format!("GET /vnc.html HTTP/1.1\r\nHost: bridge\r\n{JANE}");
    let response = page.request(&head);
    let (cookie, attributes) = response
        .header("set-cookie")
        .unwrap()
        .split_once("; ")
        .unwrap();
    assert!(cookie.starts_with("__Host-websockify-"), "{cookie}");
    assert!(
        attributes.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{attributes}"
    );
    let pass = format!("Cookie: {cookie}\r\n");
    assert_eq!(refusal(bridge.addr(), &pass).status, 401);
    assert_eq!(
        refusal(bridge.addr(), &pass.replace("__Host-", "")).status,
        401
    );
    let wire = Dialer::new(&ca).dial(bridge.addr()).unwrap().wire;
    let head = format!("{UPGRADE}{pass}Origin: https://bridge\r\n");
    Ws::upgrade_with(wire, &head).expect_echo("hello");
}

/// A browser says no origin when its user opens a page; a page that fetches says its own.
#[test]
fn origins_do_not_lock_pages() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vnc.html"), "a page").unwrap();
    let bridge = Bridge::start(&[
        "--auth-plugin=ExpectOrigin,BasicHTTPAuth",
        "--auth-source=https://a",
        "--auth-source=jane:a:b",
        "--web-auth",
        &format!("--web={}", folder.path().display()),
        "127.0.0.1:{port}",
        "127.0.0.1:1",
    ]);
    let page = |headers: &str| ask(bridge.addr(), "GET /vnc.html", headers).status;
    assert_eq!(page(JANE), 200);
    assert_eq!(page(""), 401);
    assert_eq!(page(&format!("{JANE}Origin: https://a\r\n")), 200);
    assert_eq!(page(&format!("{JANE}Origin: https://evil\r\n")), 403);
}

#[test]
fn curl_is_asked_and_answers() {
    let (bridge, _folder) = bridge();
    let url = format!("http://{}/vnc.html", bridge.addr());
    for (user, status) in [("jane:a:b", "200"), ("jane:x", "401")] {
        let mut command = Command::new("curl");
        command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--anyauth"]);
        let done = command.args(["-u", user, &url]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), status, "{user}");
    }
}
