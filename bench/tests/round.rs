//! One short round with every peer: whether the measuring works. What comes out of it is not judged.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

#[test]
fn a_round_with_every_peer_writes_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("PERFORMANCE.md");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let before = fs::read_to_string(checkout.join("docs/PERFORMANCE.md")).unwrap();
    fs::write(&page, &before).unwrap();
    // This is target/debug/deps/round-….
    let bridge = env::current_exe().unwrap();
    let bridge = bridge.ancestors().nth(2).unwrap().join("websockify");
    assert!(bridge.exists(), "`cargo build` comes before this test");

    let values = folder.path().join("values");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--rounds", "1", "--seconds", "0.02", "--sessions", "10"])
        .args([
            "--bridge".as_ref(),
            bridge.as_os_str(),
            "--docs".as_ref(),
            folder.path().as_os_str(),
            "--values".as_ref(),
            values.as_os_str(),
        ])
        // Not every machine that runs tests has landlock.
        .env("WEBSOCKIFY_SANDBOX", "try")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if let Some(reason) = stderr
        .lines()
        .find_map(|line| line.split_once("not here: "))
    {
        return skip(reason.1);
    }
    assert!(output.status.success(), "{stdout}{stderr}");

    let after = fs::read_to_string(&page).unwrap();
    for row in [
        "| CPU s/GB, target → client ",
        "| CPU s/GB, client → target, 64 B frames ",
        "| CPU µs for a 64 B round trip ",
        "| CPU µs to connect, echo, close ",
        "| memory for an idle session, TLS, KiB ",
        "| start to READY in the full sandbox, ms ",
    ] {
        assert_eq!(after.matches(row).count(), 1, "{row}: {after}");
        assert_eq!(stdout.matches(row).count(), 1, "{row}: {stdout}");
    }
    // What is written by hand stays.
    for line in before.lines().filter(|line| line.starts_with("- ")) {
        assert!(after.contains(line), "{line}");
    }
    for name in ["throughput", "cpu", "memory", "latency"] {
        let picture = folder.path().join(format!("performance/{name}.svg"));
        let picture = fs::read_to_string(picture).unwrap();
        assert!(
            !picture.contains("NaN") && !picture.contains("inf"),
            "{name}"
        );
        for peer in [
            "here",
            "Python websockify",
            "websocat",
            "Node ws",
            "HAProxy",
        ] {
            assert!(picture.contains(peer), "{peer} in {name}");
        }
    }
    let values = fs::read_to_string(&values).unwrap();
    assert!(values.lines().count() > 100, "{values}");
}

fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    if let Some(skips) = env::var_os("SKIPS") {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(skips)
            .unwrap();
        writeln!(file, "a_round_with_every_peer_writes_the_page: {reason}").unwrap();
    }
}
