//! Files that cannot be used end the start with one sentence that names them, and status 1.

use std::fs;
use std::path::Path;

use super::{Authority, text};
use crate::bridge::Bridge;

/// Starts a bridge that must not start, and returns what it said: one line.
fn refused(options: &[&str]) -> String {
    let mut args = options.to_vec();
    args.extend(["127.0.0.1:{port}", "127.0.0.1:9"]);
    let bridge = Bridge::spawn(&args);
    assert_eq!(bridge.wait().code(), Some(1), "{}", *bridge);
    let said = bridge.stderr();
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().replace("websockify: error: ", "")
}

/// Each line names the option and the file, and then says what is wrong.
fn expect(options: &[&str], option: &str, file: &Path, fault: &str) {
    let said = refused(options);
    let begin = format!("{option} {}: ", file.display());
    assert!(
        said.contains(&begin) && said.contains(fault),
        "{said:?}: {begin}{fault}"
    );
}

#[test]
fn files_that_are_not_there_or_not_what_they_should_be() {
    let ca = Authority::new();
    let pair = ca.here();
    let (cert, key) = (text(&pair.certificate), text(&pair.key));
    let missing = ca.path("missing.pem");
    let empty = ca.join("empty.pem", &[]);
    let folder = ca.path("folder");
    fs::create_dir(&folder).unwrap();
    let other = ca.here();
    let no_such = "No such file or directory";
    expect(&["--cert", text(&missing)], "--cert", &missing, no_such);
    expect(
        &["--cert", text(&empty)],
        "--cert",
        &empty,
        "no certificate in PEM form",
    );
    expect(
        &["--cert", key],
        "--cert",
        &pair.key,
        "no certificate in PEM form",
    );
    expect(
        &["--cert", text(&folder)],
        "--cert",
        &folder,
        "no certificate in it",
    );
    expect(
        &["--cert", cert],
        "--key",
        &pair.certificate,
        "no private key in PEM form",
    );
    expect(
        &["--cert", cert, "--key", text(&missing)],
        "--key",
        &missing,
        no_such,
    );
    expect(
        &["--cert", cert, "--key", text(&empty)],
        "--key",
        &empty,
        "no private key",
    );
    expect(
        &["--cert", cert, "--key", text(&other.key)],
        "--cert",
        &pair.certificate,
        "the key does not belong to the certificate",
    );
    let here = ["--cert", cert, "--key", key, "--verify-client", "--cafile"];
    expect(
        &[&here[..], &[text(&missing)]].concat(),
        "--cafile",
        &missing,
        no_such,
    );
    expect(
        &[&here[..], &[text(&empty)]].concat(),
        "--cafile",
        &empty,
        "no certificate",
    );
    expect(
        &[
            "--cert",
            cert,
            "--key",
            key,
            "--key-password-file",
            text(&missing),
        ],
        "--key-password-file",
        &missing,
        no_such,
    );
}

#[test]
fn a_certificate_half_in_the_file() {
    let ca = Authority::new();
    let pair = ca.here();
    let whole = fs::read_to_string(&pair.certificate).unwrap();
    let cut = ca.path("cut.pem");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    expect(
        &["--cert", text(&cut), "--key", text(&pair.key)],
        "--cert",
        &cut,
        "no certificate",
    );
    // The chain's second is broken: half a chain would be trusted by some clients only.
    fs::write(&cut, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
    expect(
        &["--cert", text(&cut), "--key", text(&pair.key)],
        "--cert",
        &cut,
        "certificate",
    );
}

#[test]
fn an_encrypted_key_is_never_asked_about() {
    let ca = Authority::new();
    let pair = ca.here();
    let key = ca.encrypt(&pair.key, "open sesame");
    let options = ["--cert", text(&pair.certificate), "--key", text(&key)];
    expect(
        &options,
        "--key",
        &key,
        "it is encrypted; give --key-password-file",
    );
    let wrong = ca.path("wrong");
    fs::write(&wrong, "abracadabra").unwrap();
    let by_file = ["--key-password-file", text(&wrong)];
    for password in [&by_file[..], &["--key-password", "abracadabra"]] {
        let options = [&options[..], password].concat();
        expect(&options, "--key", &key, "the password does not open it");
        assert!(!refused(&options).contains("abracadabra"));
    }
    // Longer than OpenSSL has room for.
    let long = format!("--key-password={}", "x".repeat(5000));
    let options = [&options[..], &[&long]].concat();
    expect(&options, "--key", &key, "the password does not open it");
}

#[test]
fn certificates_out_of_their_time() {
    let ca = Authority::new();
    let past = ca.issue_for_days("DNS:desk.example", (-30, -1));
    expect(
        &past.options(),
        "--cert",
        &past.certificate,
        "it expired on ",
    );
    assert!(refused(&past.options()).ends_with(" GMT: renew it"));
    let future = ca.issue_for_days("DNS:desk.example", (1, 30));
    expect(
        &future.options(),
        "--cert",
        &future.certificate,
        "it is not valid before ",
    );
}

#[test]
fn keys_that_openssl_finds_too_weak() {
    let ca = Authority::new();
    let pair = ca.weak();
    let said = refused(&pair.options());
    let file = text(&pair.certificate);
    assert_eq!(
        said,
        format!("--cert {file}: OpenSSL refuses it: ee key too small")
    );
}

#[test]
fn ciphers_that_openssl_does_not_know() {
    let ca = Authority::new();
    let pair = ca.here();
    for ciphers in [
        "NONSENSE",
        "TLS_NONSENSE",
        "HIGH:TLS_NONSENSE",
        ":",
        "TLS_AES_128_GCM_SHA256:NONSENSE",
    ] {
        let said = refused(&[&pair.options()[..], &["--ssl-ciphers", ciphers]].concat());
        assert!(
            said.contains("--ssl-ciphers: OpenSSL knows no cipher in '"),
            "{said}"
        );
    }
}

#[test]
fn options_that_need_a_certificate() {
    for options in [
        &["--ssl-only"][..],
        &["--verify-client"],
        &["--key", "key.pem"],
        &["--ssl-only", "--verify-client"],
    ] {
        let said = refused(options);
        assert!(
            said.contains("a certificate: give --cert (self.pem is not here)"),
            "{said}"
        );
    }
}
