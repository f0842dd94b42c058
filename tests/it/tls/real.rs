//! The programs that people have, unmodified, by https and wss. Each is told to trust the
//! test's authority, as an administrator would tell it.

use std::fs;
use std::process::{Command, Stdio};

use super::{Authority, bridge_with, text};
use crate::real::{OURS, node, python, script, succeeds};

#[test]
fn the_desktop_of_xvnc_in_chromium_by_https_and_wss() {
    let ca = Authority::new();
    let pair = ca.here();
    let both = ca.join("both.pem", &[&pair.certificate, &pair.key]);
    let mut command = node("browser/novnc.mjs");
    command.args(["--bridge", OURS, "--cert", text(&both)]);
    succeeds(command.args(["--cafile", text(&ca.certificate())]));
}

#[test]
fn the_clients_of_python_by_wss() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    let url = format!("wss://{}/websockify", bridge.addr());
    let mut command = python();
    command.arg(script("clients/py_clients.py")).arg(url);
    succeeds(command.args(["--cafile", text(&ca.certificate())]));
}

#[test]
fn the_ws_package_of_node_by_wss() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    let url = format!("wss://{}/websockify", bridge.addr());
    let mut command = node("clients/ws_client.mjs");
    succeeds(
        command
            .arg(url)
            .env("NODE_EXTRA_CA_CERTS", ca.certificate()),
    );
}

#[test]
fn curl_upgrades_and_fetches_by_https() {
    let ca = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), "<p>0123456789</p>").unwrap();
    let web = text(folder.path());
    let bridge = bridge_with(&[&ca.here().options()[..], &["--ssl-only", "--web", web]].concat());
    let base = format!("https://{}", bridge.addr());
    let mut command = Command::new("bash");
    command
        .arg(script("clients/curl.sh"))
        .args([&base, web, "page.html"]);
    succeeds(command.env("CURL_CA_BUNDLE", ca.certificate()));

    // By http it is led to https, and goes there where it trusts the authority.
    let url = format!("http://{}/page.html", bridge.addr());
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--fail",
        "--location",
        "--max-time",
        "20",
        "--output",
    ]);
    let got = ca.path("got");
    succeeds(
        command
            .arg(&got)
            .arg(url)
            .arg("--cacert")
            .arg(ca.certificate()),
    );
    assert_eq!(fs::read(got).unwrap(), b"<p>0123456789</p>");
}

#[test]
fn the_ssl_module_of_python_trusts_the_chain_and_agrees_on_1_3() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    let program = "
import socket, ssl, sys
port, ca = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=ca)
context.verify_flags |= ssl.VERIFY_X509_STRICT
with context.wrap_socket(socket.create_connection(('127.0.0.1', port)), server_hostname='localhost') as tls:
    assert tls.version() == 'TLSv1.3', tls.version()
    tls.sendall(b'GET / HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n')
    assert tls.recv(16).startswith(b'HTTP/1.1 405')
    while tls.recv(4096): pass
    tls.unwrap()
";
    let mut command = Command::new("python3");
    command.args(["-c", program, &bridge.port().to_string()]);
    succeeds(command.arg(ca.certificate()));
}

#[test]
fn chromium_turns_away_from_an_authority_that_it_does_not_know() {
    let (ca, other) = (Authority::new(), Authority::new());
    let pair = ca.here();
    let both = ca.join("both.pem", &[&pair.certificate, &pair.key]);
    let mut command = node("browser/novnc.mjs");
    command.args(["--bridge", OURS, "--cert", text(&both)]);
    command.args(["--cafile", text(&other.certificate())]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ERR_CERT_AUTHORITY_INVALID"), "{said}");
}
