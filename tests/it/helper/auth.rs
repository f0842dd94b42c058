//! Questions, answers and what clients see of them.

use std::thread;

use serde_json::{Value, json};

use super::{Helper, admitted, answer, asking, bridge, refusal};
use crate::wire::{UPGRADE, Wire, Ws};

#[test]
fn who_is_allowed_comes_in_by_the_name_that_was_given() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let mut ws = Ws::upgrade_with(
        Wire::connect(bridge.addr()),
        &format!("{UPGRADE}X-User: jane\r\n"),
    );
    ws.expect_echo("hello");
    drop(ws);
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains(" identity=\"jane\" "), "{record}");
}

#[test]
fn who_is_refused_gets_status_headers_and_message() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let mut wire = Wire::connect(bridge.addr());
    let response = wire.request(&asking("deny"));
    assert_eq!(response.status, 418);
    assert_eq!(response.header("x-pot"), Some("tea"));
    assert_eq!(response.header("set-cookie"), Some("a=1"));
    assert_eq!(response.header("content-length"), Some("14"));
    assert_eq!(wire.take(14).unwrap(), b"short & stout\n");
    let line = bridge.wait_for_line(|line| line.starts_with("auth failed "));
    let end = " plugin=Exec reason=\"turned away by the helper\" user=\"jane\" \
               helper=\"no \\\"coffee\\\"\\nhere\"";
    assert!(line.starts_with("auth failed client=127.0.0.1:"), "{line}");
    assert!(line.ends_with(end), "{line}");
    // The connection goes on.
    assert_eq!(
        answer(&mut wire, &asking("403")),
        (403, "Forbidden\n".into())
    );
    bridge.wait_for_line(|line| line.ends_with(" reason=\"refused by the helper\""));
    assert_eq!(answer(&mut wire, &asking("401")).0, 401);
    bridge.wait_for_line(|line| line.ends_with(" reason=\"no credentials\""));
}

#[test]
fn the_question_has_all_that_is_known_and_the_log_none_of_it() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &["-v"]);
    let mut wire = Wire::connect(bridge.addr());
    let head = asking("echo").replace("GET / ", "GET /a%20b?token=s3cret ");
    wire.send(format!("{head}Authorization: Basic s3cret\r\nX-Odd: "));
    wire.send(b"\xe4\xff\"\\\r\n");
    let (status, body) = answer(&mut wire, "");
    assert_eq!(status, 403);
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(asked["stage"], "authenticate");
    assert_eq!(asked["wants"], "websocket");
    assert_eq!(asked["method"], "GET");
    assert_eq!(asked["path"], "/a%20b");
    assert_eq!(asked["query"], "token=s3cret");
    assert_eq!(asked["headers"]["authorization"], "Basic s3cret");
    assert_eq!(asked["headers"]["x-odd"], "\u{e4}\u{ff}\"\\");
    assert_eq!(asked["peer"]["address"], "127.0.0.1");
    assert!(asked["peer"]["port"].is_u64());
    assert_eq!(
        (&asked["tls"], &asked["certificate"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(asked["target"]["host"], "127.0.0.1");
    assert!(asked["target"]["port"].is_u64());
    bridge.wait_for_line(|line| line.starts_with("request "));
    assert!(!bridge.stderr().contains("s3cret"), "{}", bridge.stderr());
}

#[test]
fn answers_that_make_no_sense_let_nobody_in() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    for what in ["nonsense", "101", "200", "150", "inject"] {
        let (status, body) = refusal(bridge.addr(), what);
        assert_eq!(status, 503, "{what}");
        assert_eq!(body, "Log-in is not available at the moment\n");
    }
    bridge.wait_for_line(|line| {
        line == "helper helper.py: an answer cannot be used: allow is neither true nor false"
    });
    bridge.wait_for_line(|line| line.ends_with(" reason=\"helper's answer cannot be used\""));
    // They cost one question each, and not the helper.
    assert_eq!(helper.starts().len(), 1);
    admitted(bridge.addr());
}

#[test]
fn pages_are_asked_about_with_web_auth() {
    let helper = Helper::new("");
    let web = tempfile::tempdir().unwrap();
    std::fs::write(web.path().join("page"), "content").unwrap();
    let web = format!("--web={}", web.path().display());
    let bridge = bridge(&helper, &[&web, "--web-auth"]);
    let mut wire = Wire::connect(bridge.addr());
    let page = "GET /page HTTP/1.1\r\nHost: bridge\r\n";
    assert_eq!(answer(&mut wire, page), (200, "content".into()));
    let (status, body) = answer(&mut wire, &format!("{page}X-Do: echo\r\n"));
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &asked["wants"]), (403, &json!("page")));
    assert_eq!(answer(&mut wire, &format!("{page}X-Do: 302\r\n")).0, 302);
}

#[test]
fn all_plugins_have_to_agree() {
    let helper = Helper::new("");
    let options = [
        "--auth-plugin=ExpectOrigin",
        "--auth-source=https://a.example",
    ];
    let bridge = bridge(&helper, &options);
    let head = |origin: &str| format!("{UPGRADE}Origin: https://{origin}\r\n");
    drop(Ws::upgrade_with(
        Wire::connect(bridge.addr()),
        &head("a.example"),
    ));
    for head in [
        head("b.example"),
        format!("{}X-Do: 403\r\n", head("a.example")),
    ] {
        let mut wire = Wire::connect(bridge.addr());
        assert_eq!(answer(&mut wire, &head).0, 403);
    }
}

#[test]
fn two_hundred_at_once_each_get_their_own_answer() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let addr = bridge.addr();
    thread::scope(|scope| {
        for number in 0..200 {
            scope.spawn(move || {
                let head = format!("{}X-User: {number}\r\n", asking("later"));
                let mut wire = Wire::connect(addr);
                for _ in 0..3 {
                    let said = answer(&mut wire, &head);
                    assert_eq!(said, (418, format!("you are {number}\n")));
                }
            });
        }
    });
}
