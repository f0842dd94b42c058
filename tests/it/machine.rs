//! What this machine lets a test do. A test that it does not let run is named in the list of skips.

use std::env;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

/// Like [`namespace`], for a test that is nothing without: `test` is counted as skipped where there
/// is none.
pub(crate) fn apart(kind: &'static str, test: &str) -> Option<Vec<&'static str>> {
    let words = namespace(kind);
    if words.is_none() {
        skip(test, "no such namespace may be made here");
    }
    words
}

/// The words before a command that give it a namespace of its own, `--mount` or `--net`: as an
/// ordinary user where there are user namespaces, else as root. `None` where neither is permitted,
/// as in some containers.
pub(crate) fn namespace(kind: &'static str) -> Option<Vec<&'static str>> {
    let probe = match kind {
        "--net" => "test -w /proc/sys/net/ipv4/ip_local_port_range",
        _ => "true",
    };
    for words in [
        vec!["unshare", "--map-root-user", kind],
        vec!["unshare", kind],
    ] {
        let tried = Command::new(words[0])
            .args(&words[1..])
            // Some containers give a network of its own whose settings cannot be written.
            .args(["sh", "-c", probe])
            .stderr(Stdio::null())
            .status();
        if tried.is_ok_and(|status| status.success()) {
            return Some(words);
        }
    }
    None
}

/// Runs `test`, which is the one that asks, once more: in a network of its own, where a shell has done
/// `prepare`. Says whether this is that run, which does what the test is about; the first has only to
/// return.
pub(crate) fn again(test: &str, prepare: &str) -> bool {
    const INSIDE: &str = "TEST_THAT_RUNS_INSIDE";
    if env::var_os(INSIDE).is_some_and(|inside| inside == test) {
        return true;
    }
    let Some(words) = apart("--net", test) else {
        return false;
    };
    let script = format!("ip link set lo up; {prepare}\nexec \"$@\"");
    let output = Command::new(words[0])
        .args(&words[1..])
        .args(["--mount", "sh", "-ec", &script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, test)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    false
}

/// Adds `test` to the file that `SKIPS` names, if there is one.
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
    if let Some(skips) = env::var_os("SKIPS") {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(skips)
            .unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}
