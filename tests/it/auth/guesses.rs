//! Guesses at passwords. Those of this machine are not slowed, so a proxy names the clients here.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::BCRYPT;
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire};

/// `jane:a:b` and `jane:a:c`.
const RIGHT: &str = "amFuZTphOmI=";
const WRONG: &str = "amFuZTphOmM=";

fn bridge(source: &str) -> Bridge {
    let source = format!("--auth-source={source}");
    let target = backend::echo().to_string();
    let auth = [
        "--auth-plugin=BasicHTTPAuth",
        &source,
        "--trusted-proxy=127.0.0.1",
    ];
    Bridge::start(&[&auth[..], &["127.0.0.1:{port}", &target]].concat())
}

fn request(client: &str, credentials: &str) -> String {
    format!("{UPGRADE}X-Forwarded-For: {client}\r\nAuthorization: Basic {credentials}\r\n")
}

/// The answer's status, and how long it took.
fn guess(bridge: &Bridge, client: &str, credentials: &str) -> (u16, Duration) {
    let begun = Instant::now();
    let status = Wire::connect(bridge.addr())
        .request(&request(client, credentials))
        .status;
    (status, begun.elapsed())
}

/// The delays are least times, so a slow machine changes nothing.
#[test]
fn they_get_slow_and_others_do_not_wait_for_them() {
    let bridge = bridge("jane:a:b");
    let guess = |client: &str, credentials: &str| guess(&bridge, client, credentials);
    // By five addresses of one network: that is one's typing errors.
    for n in 0..5 {
        assert_eq!(guess(&format!("2001:db8::{n}"), WRONG).0, 401);
    }
    for delay in [250, 500, 1000, 2000, 4000] {
        let (status, took) = guess("2001:db8::9", WRONG);
        assert_eq!(status, 401);
        assert!(
            took >= Duration::from_millis(delay),
            "{took:?} for {delay} ms"
        );
    }
    bridge.wait_for_line(|line| line.starts_with("auth failed client=[2001:db8::9] plugin="));
    // The next waits the longest time, with a right password too; meanwhile others come and go.
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let (status, took) = guess("2001:db8::9", RIGHT);
            (status, took, Instant::now())
        });
        for n in 0..5 {
            assert_eq!(guess(&format!("192.0.2.{n}"), RIGHT).0, 101);
        }
        let others_done = Instant::now();
        let (status, took, done) = slow.join().unwrap();
        assert_eq!(status, 101);
        assert!(took >= Duration::from_secs(5), "{took:?}");
        assert!(others_done < done);
    });
    // Forgiven.
    assert_eq!(guess("2001:db8::9", WRONG).0, 401);
    bridge.wait_until("record of each failure", |seen| {
        let records = seen.stderr.matches("auth failed client=[2001:db8::9] ");
        (records.count() == 6).then_some(())
    });
}

#[test]
fn many_at_once_are_not_faster() {
    let bridge = bridge("jane:a:b");
    let burst = |size: usize| {
        let mut wires: Vec<Wire> = (0..size).map(|_| Wire::connect(bridge.addr())).collect();
        for wire in &mut wires {
            wire.send(request("192.0.2.1", WRONG) + "\r\n");
        }
        let answers = wires.iter_mut().map(Wire::response);
        answers.collect::<Vec<_>>()
    };
    burst(10);
    // By now each of them would wait for seconds.
    let answers = burst(20);
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(!refused.is_empty(), "{answers:?}");
    assert!(
        refused
            .iter()
            .all(|answer| answer.header("retry-after") == Some("5"))
    );
    assert!(
        answers
            .iter()
            .all(|answer| [401, 429].contains(&answer.status))
    );
    bridge.wait_for_line(|line| line.starts_with("slowed client=192.0.2.1: "));
    assert_eq!(guess(&bridge, "192.0.2.2", RIGHT).0, 101);
}

/// Who has an account guesses at another's.
#[test]
fn a_log_in_between_them_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    fs::write(&users, format!("jane:{BCRYPT}\nmary:{BCRYPT}\n")).unwrap();
    let bridge = bridge(&format!("@{}", users.display()));
    // jane:guess and mary:secret.
    let (wrong, right) = ("amFuZTpndWVzcw==", "bWFyeTpzZWNyZXQ=");
    for _ in 0..5 {
        assert_eq!(guess(&bridge, "192.0.2.1", wrong).0, 401);
        assert_eq!(guess(&bridge, "192.0.2.1", right).0, 101);
    }
    let (status, took) = guess(&bridge, "192.0.2.1", wrong);
    assert_eq!(status, 401);
    assert!(took >= Duration::from_millis(250), "{took:?}");
}
