//! --verify-client: who is let in.

use std::io::{self, Write};

use super::{Authority, Dialer, Pair, bridge_with, s_client, text};
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire};

/// A bridge that lets in whom the authorities in a file of `ca` vouch for.
fn guarded(ca: &Authority, file: &str) -> Bridge {
    let pair = ca.here();
    let file = ca.path(file);
    let options = ["--verify-client", "--cafile", text(&file)];
    bridge_with(&[&pair.options()[..], &options].concat())
}

/// Tries to get a session. With TLS 1.3 a client believes that its handshake is done before the
/// server has seen its certificate, so an answer is what counts.
fn enter(bridge: &Bridge, ca: &Authority, pair: Option<&Pair>) -> io::Result<()> {
    let dialer = Dialer::new(ca);
    let dialer = match pair {
        Some(pair) => dialer.certificate(pair),
        None => dialer,
    };
    let dialed = dialer.dial(bridge.addr())?;
    // Whoever was turned away already cannot say it any more.
    let _ = dialed
        .wire
        .stream()
        .write_all(format!("{UPGRADE}\r\n").as_bytes());
    let answer = dialed.rest()?;
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    Ok(())
}

/// Turned away, with a reason in the log and an alert that says it to the client.
fn turned_away(bridge: &Bridge, ca: &Authority, pair: Option<&Pair>, reason: &str, alert: &str) {
    let error = enter(bridge, ca, pair).unwrap_err().to_string();
    assert!(error.contains(alert), "{error}");
    let line = bridge.wait_for_line(|line| line.starts_with("tls client="));
    assert!(line.contains(reason), "{line}");
}

#[test]
fn a_valid_certificate_opens_the_door() {
    let ca = Authority::new();
    let bridge = guarded(&ca, "ca.pem");
    let client = ca.issue("DNS:client.example");
    let mut ws = Dialer::new(&ca)
        .certificate(&client)
        .dial(bridge.addr())
        .unwrap()
        .ws();
    ws.expect_echo("known");
}

#[test]
fn none_does_not() {
    let ca = Authority::new();
    let bridge = guarded(&ca, "ca.pem");
    turned_away(
        &bridge,
        &ca,
        None,
        "peer did not return a certificate",
        "certificate required",
    );
}

#[test]
fn anothers_does_not() {
    let (ca, other) = (Authority::new(), Authority::new());
    let bridge = guarded(&ca, "ca.pem");
    let client = other.here();
    let reason = "certificate verify failed (unable to get local issuer certificate)";
    turned_away(&bridge, &ca, Some(&client), reason, "unknown ca");
}

#[test]
fn an_expired_one_does_not() {
    let ca = Authority::new();
    let bridge = guarded(&ca, "ca.pem");
    let client = ca.issue_for_days("DNS:client.example", (-30, -1));
    let reason = "certificate verify failed (certificate has expired)";
    turned_away(&bridge, &ca, Some(&client), reason, "certificate expired");
}

#[test]
fn an_intermediates_does_when_it_is_sent_along() {
    let ca = Authority::new();
    let lower = ca.intermediate();
    let bridge = guarded(&ca, "ca.pem");
    let alone = lower.issue("DNS:client.example");
    let reason = "unable to get local issuer certificate";
    turned_away(&bridge, &ca, Some(&alone), reason, "unknown ca");
    let whole = Pair {
        certificate: lower.join("whole.pem", &[&alone.certificate, &lower.certificate()]),
        key: alone.key,
    };
    let mut ws = Dialer::new(&ca)
        .certificate(&whole)
        .dial(bridge.addr())
        .unwrap()
        .ws();
    ws.expect_echo("vouched for twice");
}

#[test]
fn a_revoked_one_does_not() {
    let ca = Authority::new();
    let (good, bad) = (ca.issue("DNS:good.example"), ca.issue("DNS:bad.example"));
    ca.revoke(&bad);
    ca.join("both.pem", &[&ca.certificate(), &ca.revocations()]);
    let bridge = guarded(&ca, "both.pem");
    let reason = "certificate verify failed (certificate revoked)";
    turned_away(&bridge, &ca, Some(&bad), reason, "certificate revoked");
    let mut ws = Dialer::new(&ca)
        .certificate(&good)
        .dial(bridge.addr())
        .unwrap()
        .ws();
    ws.expect_echo("not revoked");
}

#[test]
fn one_of_a_revoked_intermediate_does_not() {
    let ca = Authority::new();
    let lower = ca.intermediate();
    let leaf = lower.issue("DNS:client.example");
    let whole = Pair {
        certificate: lower.join("whole.pem", &[&leaf.certificate, &lower.certificate()]),
        key: leaf.key,
    };
    let lists = |ca: &Authority| {
        let parts = [ca.certificate(), ca.revocations(), lower.revocations()];
        ca.join("all.pem", &[&parts[0], &parts[1], &parts[2]]);
    };
    lists(&ca);
    let bridge = guarded(&ca, "all.pem");
    let client = || {
        Dialer::new(&ca)
            .certificate(&whole)
            .dial(bridge.addr())
            .unwrap()
    };
    client().ws().expect_echo("not revoked yet");
    ca.revoke(&Pair {
        certificate: lower.certificate(),
        key: lower.path("ca.key"),
    });
    lists(&ca);
    let bridge = guarded(&ca, "all.pem");
    let reason = "certificate verify failed (certificate revoked)";
    turned_away(&bridge, &ca, Some(&whole), reason, "certificate revoked");
}

#[test]
fn a_plain_client_cannot_show_one() {
    let ca = Authority::new();
    let bridge = guarded(&ca, "ca.pem");
    assert_eq!(Wire::connect(bridge.addr()).request(UPGRADE).status, 403);
    let page = Wire::connect(bridge.addr()).request("GET / HTTP/1.1\r\nHost: h\r\n");
    assert_eq!(page.status, 308);
}

#[test]
fn resumption_is_no_way_around_it() {
    let (ca, other) = (Authority::new(), Authority::new());
    let bridge = guarded(&ca, "ca.pem");
    let client = ca.issue("DNS:client.example");
    let session = ca.path("session");
    let session = text(&session);
    for version in ["-tls1_2", "-tls1_3"] {
        let shown = [
            "-cert",
            text(&client.certificate),
            "-key",
            text(&client.key),
        ];
        let out = [&[version, "-sess_out", session][..], &shown].concat();
        assert!(s_client(bridge.addr(), &out).contains("HTTP/1.1 405"));
        // Its own ticket is its own; one for a bridge that trusts others is not good here.
        let again = s_client(bridge.addr(), &[version, "-sess_in", session]);
        assert!(
            again.contains("Reused, ") && again.contains("HTTP/1.1 405"),
            "{again}"
        );
        let pair = other.here();
        let file = other.certificate();
        let options = ["--verify-client", "--cafile", text(&file)];
        let elsewhere = bridge_with(&[&pair.options()[..], &options].concat());
        let denied = s_client(elsewhere.addr(), &[version, "-sess_in", session]);
        assert!(!denied.contains("HTTP/1.1"), "{denied}");
    }
}
