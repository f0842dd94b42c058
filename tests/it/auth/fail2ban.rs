//! The line that fail2ban reads: examples/fail2ban, asked by fail2ban itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{JANE, admitted, refusal};
use crate::backend;
use crate::bridge::Bridge;
use crate::machine::skip;

const FILTER: &str = "examples/fail2ban/websockify-filter.conf";

#[test]
fn guesses_are_found_and_nothing_else() {
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&[
        "-v",
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
        "127.0.0.1:{port}",
        &target,
    ]);
    // Two guesses, the second by a user named `x" auth failed client=192.0.2.9 plugin=x reason="y"`.
    refusal(bridge.addr(), "Authorization: Basic amFuZTp4\r\n");
    let forged = "eCIgYXV0aCBmYWlsZWQgY2xpZW50PTE5Mi4wLjIuOSBwbHVnaW49eCByZWFzb249InkiOng=";
    refusal(bridge.addr(), &format!("Authorization: Basic {forged}\r\n"));
    refusal(bridge.addr(), "");
    drop(admitted(bridge.addr(), JANE));
    bridge.wait_for_line(|line| line.starts_with("session "));
    let v6 = "auth failed client=[2001:db8::7]:5901 plugin=ExpectOrigin reason=\"no origin\"";
    // Without a port, as a proxy names them.
    let proxied = ["192.0.2.7", "[2001:db8::8]"].map(|client| {
        format!("auth failed client={client} plugin=ExpectOrigin reason=\"no origin\"\n")
    });
    // What a helper says, and what happens to one.
    let exec = [
        "refused by the helper",
        "turned away by the helper",
        "helper is late",
        "helper's answer cannot be used",
        "too many log-ins at once",
    ];
    let begin = "auth failed client=192.0.2.9:5901 plugin=Exec reason";
    let exec = exec.map(|reason| format!("{begin}=\"{reason}\"\n"));
    let log = [
        bridge.stderr().as_str(),
        v6,
        "\n",
        &proxied.concat(),
        &exec.concat(),
    ]
    .concat();
    let Some(found) = addresses(&log) else { return };
    let named = ["2001:db8::7", "192.0.2.7", "2001:db8::8", "192.0.2.9"];
    assert_eq!(found, [&["127.0.0.1", "127.0.0.1"], &named[..]].concat());
}

/// What the filter finds in a log; nothing where there is no fail2ban.
fn addresses(log: &str) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    // As fail2ban writes the journal's entries out for its filters.
    let log: String = log
        .lines()
        .map(|line| format!("host websockify[7]: {line}\n"))
        .collect();
    fs::write(&file, log).unwrap();
    let filter = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILTER);
    let Ok(done) = Command::new("fail2ban-regex")
        .args(["-o", "ip"])
        .arg(&file)
        .arg(&filter)
        .output()
    else {
        let name = "auth::fail2ban::guesses_are_found_and_nothing_else";
        skip(name, "there is no fail2ban-regex here");
        return None;
    };
    let out = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{out}");
    Some(out.lines().map(str::to_owned).collect())
}
