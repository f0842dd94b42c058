//! The programs that people have, unmodified: browsers, noVNC, its start script, WebSocket clients
//! of other languages, curl. Each is driven by a script in tests/browser or tests/clients, which
//! `tools/setup-test.sh` gives what it needs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::backend;
use crate::bridge::Bridge;
use crate::machine::{apart, skip};

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_websockify");

pub(crate) fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path)
}

/// Runs a script to its end; each has a deadline of its own and says what it missed.
pub(crate) fn succeeds(command: &mut Command) {
    let output = command
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{:?}: {error}; see tools/setup-test.sh",
                command.get_program()
            )
        });
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}\n{failed}");
}

pub(crate) fn node(path: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script(path));
    command
}

/// The Python that has the clients.
pub(crate) fn python() -> Command {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    Command::new(env::var_os("PYTHON").unwrap_or(installed.into()))
}

#[test]
fn the_desktop_of_xvnc_in_debians_novnc_in_chromium() {
    succeeds(node("browser/novnc.mjs").args(["--bridge", OURS, "--novnc", "/usr/share/novnc"]));
}

#[test]
fn the_desktop_of_xvnc_in_todays_novnc_in_chromium() {
    succeeds(node("browser/novnc.mjs").args(["--bridge", OURS]));
}

#[test]
fn a_recording_in_novncs_own_playback_in_chromium() {
    succeeds(node("browser/playback.mjs").args(["--bridge", OURS]));
}

#[test]
fn novnc_proxy_finds_and_runs_us() {
    succeeds(node("browser/novnc_proxy.mjs").args(["--bridge", OURS]));
}

#[test]
fn the_demo_in_chromium() {
    succeeds(node("browser/demo.mjs").args(["--bridge", OURS]));
}

#[test]
fn websock_and_the_telnet_protocol_in_node() {
    let mut command = Command::new("node");
    let tests = ["telnet", "websock"].map(|name| script(&format!("browser/unit/{name}.test.mjs")));
    succeeds(command.arg("--test").args(tests));
}

#[test]
fn the_telnet_page_in_chromium() {
    succeeds(node("browser/telnet.mjs").args(["--bridge", OURS]));
}

#[test]
fn a_log_in_by_the_telnet_page_in_chromium() {
    let name = "real::a_log_in_by_the_telnet_page_in_chromium";
    if !rustix::process::geteuid().is_root() || apart("--mount", name).is_none() {
        return skip(name, "only root may have other users here");
    }
    succeeds(node("browser/telnet.mjs").args(["--bridge", OURS, "--login"]));
}

#[test]
fn the_clients_of_python() {
    let bridge = Bridge::to(&backend::echo());
    let url = format!("ws://{}/websockify", bridge.addr());
    succeeds(python().arg(script("clients/py_clients.py")).arg(url));
}

#[test]
fn the_ws_package_of_node() {
    let bridge = Bridge::to(&backend::echo());
    let url = format!("ws://{}/websockify", bridge.addr());
    succeeds(node("clients/ws_client.mjs").arg(url));
}

#[test]
fn curl_upgrades_and_fetches() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.html"), "<p>0123456789</p>").unwrap();
    let web = folder.path().to_str().unwrap();
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&["--web", web, "127.0.0.1:{port}", &target]);
    let base = format!("http://{}", bridge.addr());
    let mut command = Command::new("bash");
    succeeds(
        command
            .arg(script("clients/curl.sh"))
            .args([&base, web, "page.html"]),
    );
}
