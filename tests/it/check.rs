//! `--check-config`: a command line and its files are judged as at a start, and nothing is opened.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

const OURS: &str = env!("CARGO_BIN_EXE_websockify");

/// The exit status, and what was printed.
fn check(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(OURS)
        .arg("--check-config")
        .args(args)
        // Of the tests' own, not the bridge's.
        .env_remove("WEBSOCKIFY_PYTHON")
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

#[test]
fn a_good_configuration_is_called_so_without_opening_a_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = taken.local_addr().unwrap().to_string();
    let said = format!("the configuration is good: {here} to localhost:5900\n");
    assert_eq!(check(&[&here, "localhost:5900"]), (Some(0), said));
}

#[test]
fn a_bad_one_is_told_as_at_a_start() {
    for (args, status, part) in [
        (&["6080"][..], 2, "Too few arguments"),
        (&["6080", "localhost"], 2, "is not host:port"),
        (
            &["6080", "h:1", "--cert=/none"],
            1,
            "--cert /none: No such file",
        ),
        (&["6080", "h:1", "--web=/none"], 1, "/none"),
    ] {
        let (code, printed) = check(args);
        assert_eq!(code, Some(status), "{printed}");
        assert!(printed.contains(part), "{printed}");
    }
}

#[test]
fn a_target_that_is_our_own_port_is_refused() {
    let listening = |listen, target| {
        let (code, printed) = check(&[listen, target]);
        let refused = printed.contains("is where we listen ourselves");
        assert_eq!(code, Some(i32::from(refused)), "{printed}");
        refused
    };
    for listen in ["6080", "127.0.0.1:6080", "0.0.0.0:6080", "[::]:6080"] {
        assert!(listening(listen, "localhost:6080"), "{listen}");
    }
    // Another port, another address of this machine, another machine.
    for (listen, target) in [
        ("6080", "localhost:6081"),
        ("127.0.0.2:6080", "127.0.0.1:6080"),
        ("6080", "192.0.2.1:6080"),
    ] {
        assert!(!listening(listen, target), "{listen} {target}");
    }
}

/// Whoever checks may be root, and the service's user could not write what root begins.
#[test]
fn a_log_file_is_judged_and_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let judged = |path: &Path| {
        let option = format!("--log-file={}", path.display());
        let (code, printed) = check(&["6080", "h:1", "--syslog=none.invalid:514", &option]);
        if code != Some(0) {
            assert!(printed.contains(&option.replace('=', " ")), "{printed}");
        }
        code
    };
    assert_eq!(judged(&log), Some(0));
    assert!(!log.exists());
    fs::write(&log, "as it was\n").unwrap();
    assert_eq!(judged(&log), Some(0));
    assert_eq!(fs::read_to_string(&log).unwrap(), "as it was\n");
    assert_eq!(judged(folder.path()), Some(1));
    assert_eq!(judged(&folder.path().join("none/log")), Some(1));
}
