//! --web-auth, and the pass for browsers that send no password with a WebSocket.

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::{JANE, admitted, refusal};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Response, Wire};

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
