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
