//! Which certificate a client gets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Authority, Dialer, Pair, bridge_with, s_client, text, tunnel};
use crate::bridge::Bridge;
use crate::wire::Ws;

/// The first name in the certificate that a client gets which asks for `name`, or for none.
fn shown(bridge: &Bridge, ca: &Authority, name: Option<&str>) -> String {
    let dialer = Dialer::new(ca);
    let dialer = match name {
        Some(name) => dialer.name(name),
        None => dialer,
    };
    let dialed = dialer.dial(bridge.addr()).unwrap();
    let names = dialed.chain[0].subject_alt_names().unwrap();
    names[0].dnsname().unwrap().to_owned()
}

/// Puts a pair where a directory of certificates has it.
fn put(pair: &Pair, certificate: &Path, key: &Path) {
    fs::create_dir_all(certificate.parent().unwrap()).unwrap();
    fs::copy(&pair.certificate, certificate).unwrap();
    fs::copy(&pair.key, key).unwrap();
}

/// The same in one file.
fn both(ca: &Authority, pair: &Pair, name: &str) -> std::path::PathBuf {
    ca.join(name, &[&pair.certificate, &pair.key])
}

#[test]
fn each_name_has_its_own() {
    let ca = Authority::new();
    let first = both(
        &ca,
        &ca.issue("DNS:first.example,DNS:also.example"),
        "1.pem",
    );
    let second = both(&ca, &ca.issue("DNS:*.second.example"), "2.pem");
    let third = both(&ca, &ca.issue("DNS:deep.second.example"), "3.pem");
    let bridge = bridge_with(&[
        "--cert",
        text(&first),
        "--cert",
        &format!("{},{}", text(&second), text(&third)),
    ]);
    for (asked, expected) in [
        (None, "first.example"),
        (Some("first.example"), "first.example"),
        (Some("ALSO.example"), "first.example"),
        (Some("any.second.example"), "*.second.example"),
        // The first that fits, and a star is one label.
        (Some("deep.second.example"), "*.second.example"),
        (Some("two.deep.second.example"), "first.example"),
        (Some("second.example"), "first.example"),
        (Some("unknown.example"), "first.example"),
    ] {
        assert_eq!(shown(&bridge, &ca, asked), expected, "{asked:?}");
    }
}

#[test]
fn keys_in_files_of_their_own() {
    let ca = Authority::new();
    let (one, two) = (ca.issue("DNS:one.example"), ca.issue("DNS:two.example"));
    let bridge = bridge_with(&[one.options(), two.options()].concat());
    assert_eq!(shown(&bridge, &ca, Some("two.example")), "two.example");
    assert_eq!(shown(&bridge, &ca, Some("one.example")), "one.example");
}

#[test]
fn a_directory_of_pairs() {
    let ca = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    put(&ca.issue("DNS:b.example"), &place("b.pem"), &place("b.key"));
    put(&ca.issue("DNS:c.example"), &place("c.crt"), &place("c.key"));
    fs::copy(
        both(&ca, &ca.issue("DNS:a.example"), "a.pem"),
        place("a.pem"),
    )
    .unwrap();
    fs::write(place("README"), "no certificate, and nobody's concern").unwrap();
    let bridge = bridge_with(&["--cert", text(folder.path())]);
    for name in ["a.example", "b.example", "c.example"] {
        assert_eq!(shown(&bridge, &ca, Some(name)), name);
    }
    assert_eq!(shown(&bridge, &ca, None), "a.example");
}

#[test]
fn the_way_certbot_lays_them_out() {
    let ca = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.example", "two.example"] {
        let archive = folder.path().join("archive").join(name);
        let live = folder.path().join("live").join(name);
        fs::create_dir_all(&live).unwrap();
        let pair = ca.issue(&format!("DNS:{name}"));
        put(
            &pair,
            &archive.join("fullchain1.pem"),
            &archive.join("privkey1.pem"),
        );
        for (file, link) in [
            ("fullchain1.pem", "fullchain.pem"),
            ("privkey1.pem", "privkey.pem"),
        ] {
            let to = Path::new("../../archive").join(name).join(file);
            symlink(to, live.join(link)).unwrap();
        }
        fs::write(live.join("README"), "").unwrap();
        // Also there, and neither a certificate to show nor a key.
        fs::copy(ca.certificate(), live.join("chain.pem")).unwrap();
    }
    fs::write(folder.path().join("live/README"), "").unwrap();
    let all = bridge_with(&["--cert", text(&folder.path().join("live"))]);
    let one = bridge_with(&["--cert", text(&folder.path().join("live/two.example"))]);
    for name in ["one.example", "two.example"] {
        assert_eq!(shown(&all, &ca, Some(name)), name);
        assert_eq!(shown(&one, &ca, Some(name)), "two.example");
    }
}

#[test]
fn the_chain_is_sent_along() {
    let root = Authority::new();
    let lower = root.intermediate();
    let pair = lower.here();
    let chain = lower.join("chain.pem", &[&pair.certificate, &lower.certificate()]);
    let bridge = bridge_with(&["--cert", text(&chain), "--key", text(&pair.key)]);
    let dialed = Dialer::new(&root).dial(bridge.addr()).unwrap();
    assert_eq!(dialed.chain.len(), 2);
    dialed
        .ws()
        .expect_echo("trusted by way of the intermediate");
    let verified = s_client(
        bridge.addr(),
        &[
            "-CAfile",
            text(&root.certificate()),
            "-verify_hostname",
            "localhost",
        ],
    );
    assert!(
        verified.contains("Verify return code: 0 (ok)"),
        "{verified}"
    );
    // Without it nobody who knows only the root could trust the bridge.
    let bridge = bridge_with(&pair.options());
    assert!(Dialer::new(&root).dial(bridge.addr()).is_err());
}

#[test]
fn a_password_from_a_file_or_an_option_opens_the_key() {
    let ca = Authority::new();
    let pair = ca.here();
    let key = ca.encrypt(&pair.key, "open sesame");
    let password = ca.path("password");
    fs::write(&password, "open sesame\nwhat else is in the file\n").unwrap();
    let options = ["--cert", text(&pair.certificate), "--key", text(&key)];
    for option in [
        format!("--key-password-file={}", text(&password)),
        "--key-password=open sesame".to_owned(),
    ] {
        let bridge = bridge_with(&[&options[..], &["-v", &option]].concat());
        tunnel::open(bridge.addr(), &ca).expect_echo("open");
        assert!(!bridge.stderr().contains("sesame"));
    }
}

#[test]
fn self_pem_is_taken_where_it_is_and_nothing_else_is_named() {
    let ca = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let target = crate::backend::echo().to_string();
    let start = |more: &[&str]| {
        Bridge::start_with(
            &[more, &["127.0.0.1:{port}", &target]].concat(),
            |command| command.current_dir(folder.path()),
        )
    };
    let bridge = start(&[]);
    assert!(Dialer::new(&ca).dial(bridge.addr()).is_err());
    fs::copy(
        both(&ca, &ca.here(), "self.pem"),
        folder.path().join("self.pem"),
    )
    .unwrap();
    let bridge = start(&[]);
    tunnel::open(bridge.addr(), &ca).expect_echo("by default");
    Ws::open(bridge.addr()).expect_echo("and without TLS");
    let other = ca.issue("DNS:other.example");
    let bridge = start(&other.options());
    assert_eq!(shown(&bridge, &ca, None), "other.example");
}

#[test]
fn an_end_that_is_near_is_a_warning() {
    let ca = Authority::new();
    for (days, warned) in [(13, true), (15, false)] {
        let pair = ca.issue_for_days("DNS:desk.example", (-1, days));
        let bridge = bridge_with(&pair.options());
        // A warning comes before this.
        bridge.wait_for_line(|line| line.starts_with("bridging to "));
        let told = bridge
            .stderr()
            .contains("the certificate of desk.example expires on ");
        assert_eq!(told, warned, "{}", *bridge);
    }
}
