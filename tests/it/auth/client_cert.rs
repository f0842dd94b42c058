//! Names in certificates.

use std::fs;
use std::io::Write;
use std::process::Command;

use crate::backend;
use crate::bridge::Bridge;
use crate::helper::classes;
use crate::tls::{Authority, Dialer, Pair, text};
use crate::wire::{UPGRADE, Wire, Ws};

/// A certificate of `ca` with this subject, as `openssl req -subj` takes it, and other names.
fn person(ca: &Authority, subject: &str, others: &str) -> Pair {
    let pair = Pair {
        certificate: ca.path("person.pem"),
        key: ca.path("person.key"),
    };
    let extensions = format!("basicConstraints=CA:FALSE\n{others}\n");
    fs::write(ca.path("person.ext"), extensions).unwrap();
    let made = "req -newkey rsa:2048 -nodes -keyout person.key -out person.csr -subj";
    let signed = "x509 -req -in person.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
                  -extfile person.ext -out person.pem";
    for (line, last) in [(made, Some(subject)), (signed, None)] {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).args(last);
        let done = command.current_dir(ca.path("")).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    pair
}

/// A bridge that lets in whom `ca` vouches for and the plugins know.
fn guarded(ca: &Authority, options: &[&str]) -> Bridge {
    let (pair, file) = (ca.here(), ca.certificate());
    let target = backend::echo().to_string();
    let verify = ["--verify-client", "--cafile", text(&file)];
    let to = ["127.0.0.1:{port}", &target];
    Bridge::start(&[&pair.options()[..], &verify, options, &to].concat())
}

/// The status of the answer to somebody who asks for a WebSocket.
fn ask(bridge: &Bridge, ca: &Authority, who: &Pair, headers: &str) -> u16 {
    let dialed = Dialer::new(ca).certificate(who).dial(bridge.addr());
    let mut wire = dialed.unwrap().wire;
    wire.request(&format!("{UPGRADE}{headers}")).status
}

const PLUGIN: &str = "--auth-plugin=ClientCertCNAuth";

#[test]
fn any_name_of_a_certificate() {
    let ca = Authority::new();
    let list = "--auth-source=jane@example.org \"Jane Doe\" mary@example.org desk.example.org";
    let bridge = guarded(&ca, &[PLUGIN, list]);
    for (subject, others) in [
        ("/CN=jane@example.org/CN=other", ""),
        ("/CN=other/CN=jane@example.org", ""),
        ("/CN=Jane Doe", ""),
        ("/CN=x", "subjectAltName=email:mary@example.org"),
        ("/O=x", "subjectAltName=DNS:Desk.example.org"),
    ] {
        let who = person(&ca, subject, others);
        assert_eq!(ask(&bridge, &ca, &who, ""), 101, "{subject} {others}");
    }
    let identity = " identity=\"Jane Doe\" ";
    bridge.wait_for_line(|line| line.starts_with("session ") && line.contains(identity));

    let evil = "subjectAltName=DNS:jane@example.org.evil.example";
    let who = person(&ca, "/CN=Jane", evil);
    assert_eq!(ask(&bridge, &ca, &who, ""), 403);
    let line = bridge.wait_for_line(|line| line.starts_with("auth failed client=127.0.0.1:"));
    assert!(
        line.ends_with(
            " plugin=ClientCertCNAuth reason=\"certificate not listed\" \
             name=\"Jane, jane@example.org.evil.example\""
        ),
        "{line}"
    );
}

#[test]
fn headers_name_nobody() {
    let ca = Authority::new();
    let who = person(&ca, "/CN=jane", "");
    let bridge = guarded(&ca, &[PLUGIN, "--auth-source=bob"]);
    for header in [
        "SSL_CLIENT_S_DN_CN",
        "ssl_client_s_dn_cn",
        "Ssl_Client_S_Dn_Cn",
        "SSL-CLIENT-S-DN-CN",
        "ssl_client_verify: SUCCESS\r\nssl_client_s_dn_cn",
    ] {
        let spoofed = format!("{header}: bob\r\n");
        assert_eq!(ask(&bridge, &ca, &who, &spoofed), 403, "{header}");
    }
}

#[test]
fn no_way_around_the_certificate() {
    let ca = Authority::new();
    let bridge = guarded(&ca, &[PLUGIN, "--auth-source=bob"]);
    // Neither without TLS, whatever the headers say, nor without a certificate in it.
    let mut plain = Wire::connect(bridge.addr());
    let spoofed = format!("{UPGRADE}ssl_client_s_dn_cn: bob\r\n");
    assert_eq!(plain.request(&spoofed).status, 403);
    let other = Authority::new();
    let stranger = person(&other, "/CN=bob", "");
    for dialer in [Dialer::new(&ca), Dialer::new(&ca).certificate(&stranger)] {
        // With TLS 1.3 a client believes that its handshake is done before it is judged.
        if let Ok(dialed) = dialer.dial(bridge.addr()) {
            let _ = dialed.wire.stream().write_all(spoofed.as_bytes());
            assert_eq!(dialed.rest().unwrap_or_default(), b"");
        }
    }

    let args = [PLUGIN, "--auth-source=bob", "127.0.0.1:{port}", "h:1"];
    let alone = Bridge::spawn(&args);
    assert_eq!(alone.wait().code(), Some(2));
    assert!(alone.stderr().contains("needs --verify-client"));
}

#[test]
fn beside_a_password_both_are_needed() {
    let ca = Authority::new();
    let who = person(&ca, "/CN=jane.cert", "");
    let password = ["--auth-plugin=BasicHTTPAuth", "--auth-source=jane:a:b"];
    let bridge = guarded(
        &ca,
        &[&[PLUGIN, "--auth-source=jane.cert"], &password[..]].concat(),
    );
    assert_eq!(ask(&bridge, &ca, &who, ""), 401);
    let dialed = Dialer::new(&ca).certificate(&who).dial(bridge.addr());
    let head = format!("{UPGRADE}{}", super::JANE);
    Ws::upgrade_with(dialed.unwrap().wire, &head).expect_echo("hello");
}

#[test]
fn a_class_behind_exec_sees_the_name_that_tls_verified() {
    let ca = Authority::new();
    let class = classes::line(true, "ClientCertCNAuth 'other jane@example.org'");
    let source = format!("--auth-source={class}");
    let bridge = guarded(&ca, &["--auth-plugin=Exec", &source]);
    let jane = person(&ca, "/CN=jane@example.org", "");
    assert_eq!(ask(&bridge, &ca, &jane, ""), 101);
    let mary = person(&ca, "/CN=mary@example.org", "");
    let header = "SSL_CLIENT_S_DN_CN: jane@example.org\r\n";
    assert_eq!(ask(&bridge, &ca, &mary, header), 403);
}
