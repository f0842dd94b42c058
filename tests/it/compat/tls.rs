//! TLS: options that meant less than they said, and files that were looked at too late.

use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::thread;

use openssl::ssl::Ssl;

use super::{differs, theirs};
use crate::backend;
use crate::bridge::Bridge;
use crate::tls::{Authority, agreed, open, server, text};
use crate::wire::{UPGRADE, Wire, Ws};

/// A bridge in front of an echo, with more options.
fn bridge(options: &[&str]) -> Bridge {
    let target = backend::echo().to_string();
    Bridge::start(&[options, &["127.0.0.1:{port}", &target]].concat())
}

/// wss and ws on one port, and pages too.
#[test]
fn on_the_same_port() {
    let ca = Authority::new();
    let bridge = bridge(&ca.here().options());
    open(bridge.addr(), &ca).expect_echo("inside");
    Ws::open(bridge.addr()).expect_echo("in the clear");
    assert_eq!(
        Wire::connect(bridge.addr())
            .request("GET / HTTP/1.1\r\nHost: h\r\n")
            .status,
        405
    );
}

/// A certificate that is not there, and a key that nobody can open.
#[test]
fn unusable_files() {
    let ca = Authority::new();
    let pair = ca.here();
    let key = ca.encrypt(&pair.key, "open sesame");
    let missing = ca.path("missing.pem");
    for options in [
        &["--cert", text(&missing)][..],
        &[
            "--cert",
            text(&pair.certificate),
            "--key",
            text(&key),
            "--key-password=wrong",
        ],
    ] {
        if differs("certificate-files", true, false) {
            let bridge = bridge(options);
            assert_eq!(agreed(&bridge, &[]), None);
            Ws::open(bridge.addr()).expect_echo("in the clear");
        } else {
            let args = [options, &["127.0.0.1:{port}", "127.0.0.1:1"]].concat();
            assert_eq!(Bridge::spawn(&args).wait().code(), Some(1));
        }
    }
}

/// What a client without TLS is told where there is nothing else.
#[test]
fn tls_only() {
    let ca = Authority::new();
    let bridge = bridge(&[&ca.here().options()[..], &["--ssl-only"]].concat());
    open(bridge.addr(), &ca).expect_echo("inside");
    for (head, status) in [("GET /x HTTP/1.1\r\nHost: h\r\n", 308), (UPGRADE, 403)] {
        let mut wire = Wire::connect(bridge.addr());
        wire.send(format!("{head}\r\n"));
        if differs("ssl-only", true, false) {
            assert!(wire.rest().is_empty());
        } else {
            assert_eq!(wire.response().status, status);
        }
    }
}

/// --verify-client, and a client that has nothing to show because it does not speak TLS.
#[test]
fn unverified_client() {
    let ca = Authority::new();
    let file = ca.certificate();
    let options = ["--verify-client", "--cafile", text(&file)];
    let bridge = bridge(&[&ca.here().options()[..], &options].concat());
    let answer = Wire::connect(bridge.addr()).request(UPGRADE);
    assert_eq!(answer.status, differs("verify-client", 101, 403));
}

/// TLS 1.1 where it is asked for and the library is told to allow it.
#[test]
fn oldest_version() {
    let ca = Authority::new();
    let old = "DEFAULT@SECLEVEL=0";
    let options = ["--ssl-version=tlsv1_1", "--ssl-ciphers", old];
    let bridge = bridge(&[&ca.here().options()[..], &options].concat());
    let found = agreed(&bridge, &["-tls1_1", "-cipher", old]).is_some();
    // Theirs has Python's own lower bound, and Debian 12 builds Python without one.
    assert_eq!(found, differs("ssl-version", found, true));
}

/// A suite of TLS 1.3 among the ciphers.
#[test]
fn suites() {
    let ca = Authority::new();
    let list = "TLS_CHACHA20_POLY1305_SHA256:ECDHE+AESGCM";
    let bridge = bridge(&[&ca.here().options()[..], &["--ssl-ciphers", list]].concat());
    let (theirs, ours) = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256");
    let expected = format!("TLSv1.3 {}", differs("ssl-ciphers", theirs, ours));
    assert_eq!(agreed(&bridge, &["-tls1_3"]), Some(expected));
}

/// TLS to a Unix socket.
#[test]
fn unix_target() {
    let ca = Authority::new();
    let context = server(&ca.issue("DNS:desk.example"), None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let accepted = Ssl::new(&context).unwrap().accept(socket.unwrap());
            tell.send(accepted.is_ok()).unwrap();
        }
    });
    let file = ca.certificate();
    let ours = [
        "--ssl-target-cafile",
        text(&file),
        "--ssl-target-name",
        "desk.example",
    ];
    let options = if theirs() { &[][..] } else { &ours };
    let there = [
        "--ssl-target",
        "--unix-target",
        text(&path),
        "127.0.0.1:{port}",
    ];
    let bridge = Bridge::start(&[options, &there].concat());
    let mut client = Ws::open(bridge.addr());
    client.send(&crate::wire::Frame::binary("no hello of TLS"));
    let spoken = heard.recv_timeout(crate::process::DEADLINE).unwrap();
    assert_eq!(spoken, differs("ssl-target-unix", false, true));
}

/// A target whose TLS ends without its goodbye.
#[test]
fn cut_off_target() {
    let ca = Authority::new();
    let context = server(&ca.here(), None);
    let target = backend::serve(move |socket| {
        let mut stream = Ssl::new(&context).unwrap().accept(socket).unwrap();
        std::io::Write::write_all(&mut stream, b"all of it?").unwrap();
        stream.get_ref().shutdown(Shutdown::Write).unwrap();
        let _ = std::io::Read::read(&mut stream.get_ref(), &mut [0; 64]);
    });
    let target = format!("localhost:{}", target.port());
    let file = ca.certificate();
    let bridge = Bridge::start_with(&["--ssl-target", "127.0.0.1:{port}", &target], |command| {
        command.env("SSL_CERT_FILE", &file)
    });
    let end = Ws::open(bridge.addr()).end();
    assert_eq!(end.data, b"all of it?");
    let lost = "1011 Target connection lost";
    assert_eq!(
        end.close,
        differs("ssl-target-cut-off", "1000 Target closed", lost)
    );
}
