//! Versions, suites, resumption and renegotiation, as `openssl s_client` finds them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::{Authority, bridge_with, s_client, text};
use crate::bridge::Bridge;

/// A bridge with more options, whose authority s_client need not know.
fn bridge(options: &[&str]) -> Bridge {
    let ca = Authority::new();
    let pair = ca.here();
    bridge_with(&[&pair.options(), options].concat())
}

/// The suite and the version that it is from, or nothing where there was no handshake.
pub(crate) fn agreed(bridge: &Bridge, args: &[&str]) -> Option<String> {
    let said = s_client(bridge.addr(), args);
    let line = said
        .lines()
        .find(|line| line.contains(", Cipher is "))
        .unwrap_or(&said);
    if line.starts_with("New, (NONE)") || !line.starts_with("New, ") {
        return None;
    }
    assert!(said.contains("HTTP/1.1 "), "{said}");
    Some(line.replace("New, ", "").replace(", Cipher is", ""))
}

/// What lets a client of today speak TLS 1.1 at all.
const OLD: &str = "DEFAULT@SECLEVEL=0";

#[test]
fn versions() {
    for (options, versions) in [
        (&[][..], [false, true, true]),
        (&["--ssl-version=default"], [false, true, true]),
        (&["--ssl-version=tlsv1_2"], [false, true, true]),
        (&["--ssl-version=tlsv1_3"], [false, false, true]),
        (
            &["--ssl-version=tlsv1_1", "--ssl-ciphers", OLD],
            [true, true, true],
        ),
    ] {
        let bridge = bridge(options);
        for (version, expected) in ["-tls1_1", "-tls1_2", "-tls1_3"].iter().zip(versions) {
            let agreed = agreed(&bridge, &[version, "-cipher", OLD]);
            assert_eq!(
                agreed.is_some(),
                expected,
                "{options:?} {version}: {agreed:?}"
            );
        }
    }
}

#[test]
fn ciphers_of_1_2_and_suites_of_1_3_stand_in_one_list() {
    let both = bridge(&[
        "--ssl-ciphers",
        "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256",
    ]);
    let old = Some("TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384");
    assert_eq!(agreed(&both, &["-tls1_2"]).as_deref(), old);
    assert_eq!(
        agreed(
            &both,
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]
        ),
        None
    );
    let new = Some("TLSv1.3 TLS_CHACHA20_POLY1305_SHA256");
    assert_eq!(agreed(&both, &["-tls1_3"]).as_deref(), new);
    assert_eq!(
        agreed(
            &both,
            &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"]
        ),
        None
    );

    // What is not named stays as it was.
    let old = bridge(&["--ssl-ciphers", "ECDHE+AES128"]);
    let new = Some("TLSv1.3 TLS_AES_256_GCM_SHA384");
    assert_eq!(agreed(&old, &["-tls1_3"]).as_deref(), new);
    let new = bridge(&["--ssl-ciphers", "TLS_AES_128_GCM_SHA256"]);
    assert!(agreed(&new, &["-tls1_2"]).is_some());
    assert_eq!(
        agreed(
            &new,
            &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]
        ),
        None
    );
}

#[test]
fn only_suites_with_forward_secrecy_unless_asked_for() {
    let ca = Authority::new();
    let pair = ca.rsa();
    let bridge = bridge_with(&pair.options());
    for cipher in [
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "DES-CBC3-SHA",
        "RC4-SHA",
        "NULL",
        "aNULL",
    ] {
        let cipher = format!("{cipher}:@SECLEVEL=0");
        assert_eq!(
            agreed(&bridge, &["-tls1_2", "-cipher", &cipher]),
            None,
            "{cipher}"
        );
    }
    let mut options = pair.options().to_vec();
    options.extend(["--ssl-ciphers", "AES128-SHA"]);
    let bridge = bridge_with(&options);
    let old = Some("SSLv3 AES128-SHA");
    assert_eq!(agreed(&bridge, &["-tls1_2"]).as_deref(), old);
}

#[test]
fn sessions_are_resumed() {
    let bridge = bridge(&[]);
    let folder = tempfile::tempdir().unwrap();
    let session = folder.path().join("session");
    for version in ["-tls1_2", "-tls1_3"] {
        let first = s_client(bridge.addr(), &[version, "-sess_out", text(&session)]);
        assert!(first.contains("\nNew, "), "{first}");
        let second = s_client(bridge.addr(), &[version, "-sess_in", text(&session)]);
        assert!(second.contains("\nReused, "), "{second}");
        assert!(second.contains("HTTP/1.1 405"), "{second}");
    }
}

/// What a server remembers for a client without tickets is the session's key.
#[test]
fn no_session_is_remembered_for_a_client() {
    let said = s_client(bridge(&[]).addr(), &["-tls1_2", "-no_ticket"]);
    assert!(said.contains("HTTP/1.1 405"), "{said}");
    assert!(said.contains("Session-ID: \n"), "{said}");
}

#[test]
fn renegotiation_is_refused_and_nothing_is_compressed() {
    let bridge = bridge(&[]);
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_2",
            "-connect",
            &bridge.addr().to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut before = Vec::new();
    // s_client reads commands once it has shown the session.
    for line in out.by_ref() {
        let line = line.unwrap();
        before.push(line.clone());
        if line.contains("Extended master secret") {
            break;
        }
    }
    assert!(
        before.contains(&"Compression: NONE".to_owned()),
        "{before:?}"
    );
    assert!(
        before.contains(&"Secure Renegotiation IS supported".to_owned()),
        "{before:?}"
    );
    stdin.write_all(b"R\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no renegotiation"), "{said}");
}

/// docs/TLS.md tells what is offered, and here is who checks it.
#[test]
fn the_table_is_what_a_scan_finds() {
    let ca = Authority::new();
    let (rsa, ec) = (bridge_with(&ca.rsa().options()), bridge(&[]));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/tls-scan.sh");
    let output = Command::new("sh")
        .args([script, &rsa.addr().to_string(), &ec.addr().to_string()])
        .output()
        .unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{failed}");
    let document = include_str!("../../../docs/TLS.md");
    assert!(
        document.ends_with(&found),
        "docs/TLS.md ends with another table than\n{found}"
    );
}
