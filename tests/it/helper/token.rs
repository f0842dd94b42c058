//! `--token-plugin Exec`.

use super::{Helper, answer};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire, Ws};

fn bridge(helper: &Helper, more: &[&str]) -> Bridge {
    let source = format!("--token-source={}", helper.line());
    let args = ["--token-plugin=Exec", &source, "127.0.0.1:{port}"];
    Bridge::start(&[&args[..], more].concat())
}

fn head(token: &str) -> String {
    UPGRADE.replace("GET / ", &format!("GET /?token={token} "))
}

fn refused(bridge: &Bridge, token: &str) -> (u16, String) {
    answer(&mut Wire::connect(bridge.addr()), &head(token))
}

#[test]
fn a_token_leads_where_the_program_says() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    let token = format!("port/{}", backend::echo().port());
    let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head(&token));
    ws.expect_echo("hello");
    drop(ws);
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains(" target=vm 7 "), "{record}");

    let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head("unix//no/such/socket"));
    assert!(ws.close().starts_with("1011"));
    bridge.wait_for_line(|line| line.contains("cannot connect to unix:/no/such/socket"));
}

#[test]
fn a_token_that_is_not_known_and_one_that_nobody_can_look_up() {
    let helper = Helper::new("");
    let bridge = bridge(&helper, &[]);
    assert_eq!(refused(&bridge, "s3cret").0, 404);
    assert_eq!(refused(&bridge, "odd/s3cret").0, 503);
    bridge.wait_for_line(|line| {
        line == "helper helper.py: an answer cannot be used: port is not a number from 1 to 65535"
    });
    bridge.wait_for_line(|line| {
        line.starts_with("token failed client=127.0.0.1:")
            && line.ends_with(" plugin=Exec reason=\"the helper's answer makes no sense\"")
    });
    assert_eq!(refused(&bridge, "crash/s3cret").0, 503);
    bridge.wait_for_line(|line| line.ends_with(" reason=\"the helper ended before it answered\""));
    let token = format!("port/{}", backend::echo().port());
    Ws::upgrade_with(Wire::connect(bridge.addr()), &head(&token)).expect_echo("hello");
    assert!(!bridge.stderr().contains("s3cret"), "{}", bridge.stderr());
}

#[test]
fn who_may_reach_a_tokens_target_is_asked_when_it_is_known() {
    let (doorman, guide) = (Helper::new(""), Helper::new(""));
    let options = doorman.options();
    let bridge = bridge(&guide, &[&options[0], &options[1]]);
    let port = backend::echo().port();
    let token = format!("port/{port}");
    let asking = |what: &str| format!("{}X-Do: {what}\r\n", head(&token));
    let mut wire = Wire::connect(bridge.addr());
    let (status, body) = answer(&mut wire, &asking("target"));
    assert_eq!(status, 403);
    assert_eq!(
        body,
        format!("{{\"host\": \"127.0.0.1\", \"port\": {port}}}\n")
    );
    // Before its token is looked up, where it is turned away at once.
    let unknown = head("unknown");
    assert_eq!(answer(&mut wire, &format!("{unknown}X-Do: 418\r\n")).0, 418);
    assert_eq!(answer(&mut wire, &unknown).0, 404);
    let head = format!("{}X-User: jane\r\n", head(&token));
    let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head);
    ws.expect_echo("hello");
    drop(ws);
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains(" identity=\"jane\" "), "{record}");
}

#[test]
fn a_program_that_cannot_serve_ends_the_start() {
    let args = ["--token-plugin=Exec", "--token-source=/no/such", "{port}"];
    let bridge = Bridge::spawn(&args);
    assert_eq!(bridge.wait().code(), Some(1));
    let error = "websockify: error: helper such: cannot be started: No such file";
    assert!(bridge.stderr().contains(error), "{}", bridge.stderr());
}
