//! Names in certificates.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use tempfile::TempDir;

use crate::backend;
use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::wire::{Response, UPGRADE, Wire};

/// An authority of the test's own and certificates that it signed.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let it = Self(tempfile::tempdir().unwrap());
        it.openssl(
            "req -x509 -newkey rsa:2048 -nodes -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        it.sign("server", "/CN=bridge", "");
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes `NAME.key` and `NAME.pem`; a `/` begins each part of the subject, `_` is a space.
    fn sign(&self, name: &str, subject: &str, alternative: &str) {
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -subj {subject} -keyout {name}.key -out {name}.csr"
        ));
        let mut extensions = String::from("basicConstraints=CA:FALSE\n");
        if !alternative.is_empty() {
            extensions += &format!("subjectAltName={alternative}\n");
        }
        std::fs::write(self.path("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
             -extfile extensions -out {name}.pem"
        ));
    }

    fn openssl(&self, line: &str) {
        let words = line.split(' ').map(|word| word.replace('_', " "));
        let done = Command::new("openssl")
            .args(words)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    }

    fn bridge(&self, more: &[&str]) -> Bridge {
        let path = |name: &str| self.path(name).display().to_string();
        let (cert, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
        let target = backend::echo().to_string();
        let mut args = vec![
            "--cert",
            &cert,
            "--key",
            &key,
            "--verify-client",
            "--cafile",
            &ca,
        ];
        args.extend(more);
        args.extend(["127.0.0.1:{port}", &target]);
        Bridge::start(&args)
    }

    /// Asks for a WebSocket by TLS, with the certificate `name`.
    fn ask(&self, addr: SocketAddr, name: &str, headers: &str) -> Option<Response> {
        upgrade(addr, &self.path(name), headers)
    }
}

/// `None` when the handshake or what follows it fails.
fn upgrade(addr: SocketAddr, name: &Path, headers: &str) -> Option<Response> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    if name.with_extension("pem").exists() {
        builder
            .set_certificate_chain_file(name.with_extension("pem"))
            .unwrap();
        builder
            .set_private_key_file(name.with_extension("key"), SslFiletype::PEM)
            .unwrap();
    }
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut stream = builder.build().connect("bridge", socket).ok()?;
    stream
        .write_all(format!("{UPGRADE}{headers}\r\n").as_bytes())
        .ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    Some(Response::parse(&head))
}

fn status(response: Option<Response>) -> Option<u16> {
    response.map(|it| it.status)
}

const PLUGIN: &str = "--auth-plugin=ClientCertCNAuth";

#[test]
fn any_name_of_a_certificate() {
    let authority = Authority::new();
    authority.sign("first", "/CN=jane@example.org/CN=other", "");
    authority.sign("space", "/CN=Jane_Doe", "");
    authority.sign("email", "/CN=x", "email:mary@example.org");
    authority.sign("dns", "/O=x", "DNS:Desk.example.org");
    authority.sign("none", "/CN=Jane", "DNS:jane@example.org.evil.example");
    let list = "--auth-source=jane@example.org \"Jane Doe\" mary@example.org desk.example.org";
    let bridge = authority.bridge(&[PLUGIN, list]);
    for name in ["first", "space", "email", "dns"] {
        assert_eq!(
            status(authority.ask(bridge.addr(), name, "")),
            Some(101),
            "{name}"
        );
    }
    assert_eq!(status(authority.ask(bridge.addr(), "none", "")), Some(403));
    let line = bridge.wait_for_line(|line| line.starts_with("auth failed client=127.0.0.1:"));
    assert!(
        line.ends_with(
            " plugin=ClientCertCNAuth reason=\"certificate not listed\" \
             name=\"Jane, jane@example.org.evil.example\""
        ),
        "{line}"
    );
    let identity = " identity=\"Jane Doe\" ";
    bridge.wait_for_line(|line| line.starts_with("session ") && line.contains(identity));
}

#[test]
fn headers_name_nobody() {
    let authority = Authority::new();
    authority.sign("jane", "/CN=jane", "");
    let bridge = authority.bridge(&[PLUGIN, "--auth-source=bob"]);
    for header in [
        "SSL_CLIENT_S_DN_CN",
        "ssl_client_s_dn_cn",
        "Ssl_Client_S_Dn_Cn",
        "SSL-CLIENT-S-DN-CN",
        "ssl_client_verify: SUCCESS\r\nssl_client_s_dn_cn",
    ] {
        let spoofed = format!("{header}: bob\r\n");
        let got = status(authority.ask(bridge.addr(), "jane", &spoofed));
        assert_eq!(got, Some(403), "{header}");
    }
}

#[test]
fn no_way_around_the_certificate() {
    let authority = Authority::new();
    let bridge = authority.bridge(&[PLUGIN, "--auth-source=bob"]);
    // Neither without TLS, whatever the headers say, nor without a certificate in it.
    let mut plain = Wire::connect(bridge.addr());
    let spoofed = format!("{UPGRADE}ssl_client_s_dn_cn: bob\r\n");
    assert_eq!(plain.request(&spoofed).status, 403);
    assert_eq!(status(authority.ask(bridge.addr(), "nobody", "")), None);
    let stranger = Authority::new();
    stranger.sign("bob", "/CN=bob", "");
    assert_eq!(status(stranger.ask(bridge.addr(), "bob", "")), None);

    let args = [PLUGIN, "--auth-source=bob", "127.0.0.1:{port}", "h:1"];
    let alone = Bridge::spawn(&args);
    assert_eq!(alone.wait().code(), Some(2));
    assert!(alone.stderr().contains("needs --verify-client"));
}

#[test]
fn beside_a_password_both_are_needed() {
    let authority = Authority::new();
    authority.sign("jane", "/CN=jane.cert", "");
    let bridge = authority.bridge(&[
        PLUGIN,
        "--auth-source=jane.cert",
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
    ]);
    assert_eq!(status(authority.ask(bridge.addr(), "jane", "")), Some(401));
    assert_eq!(
        status(authority.ask(bridge.addr(), "jane", super::JANE)),
        Some(101)
    );
}
