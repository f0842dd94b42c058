//! --ssl-target: whom the bridge trusts, what it says of itself, and every byte meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;

use openssl::ssl::Ssl;
use rustix::process::Signal;

use super::{Authority, Pair, text, tunnel};
use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};

const MIB: usize = 1 << 20;
const UNREACHABLE: &str = "1011 Failed to connect to downstream server";

/// A bridge that trusts `ca` to know its target.
fn bridge_to(target: &str, ca: &Authority, more: &[&str]) -> Bridge {
    let file = ca.certificate();
    let options = ["--ssl-target", "--ssl-target-cafile", text(&file)];
    Bridge::start(&[&options[..], more, &["127.0.0.1:{port}", target]].concat())
}

/// The bridge will not speak to its target, and says why.
fn refuses(bridge: &Bridge, reason: &str) {
    assert_eq!(Ws::open(bridge.addr()).close(), UNREACHABLE);
    let line = bridge.wait_for_line(|line| line.starts_with("cannot connect to "));
    assert!(
        line.contains(" for client=127.0.0.1:") && line.ends_with(reason),
        "{line}"
    );
}

#[test]
fn a_target_that_the_authority_knows_is_bridged_to() {
    let ca = Authority::new();
    let (target, greetings) = tunnel::serve(&ca.here(), None, backend::echo_on);
    let bridge = bridge_to(&format!("localhost:{}", target.port()), &ca, &[]);
    let mut client = Ws::open(bridge.addr());
    for size in [0, 1, 125, 16384, 65536, 300_000, MIB] {
        client.expect_echo(pattern(size));
    }
    let (name, certificate) = greetings.recv_timeout(DEADLINE).unwrap().unwrap();
    assert_eq!(name.as_deref(), Some("localhost"));
    assert!(certificate.is_none());
    assert!(!bridge.stderr().contains("insecure"));
}

#[test]
fn an_address_must_be_in_the_certificate_and_is_no_server_name() {
    let ca = Authority::new();
    let (target, greetings) = tunnel::serve(&ca.here(), None, backend::echo_on);
    let bridge = bridge_to(&target.to_string(), &ca, &[]);
    Ws::open(bridge.addr()).expect_echo("by address");
    assert_eq!(greetings.recv_timeout(DEADLINE).unwrap().unwrap().0, None);
    let (target, _greetings) = tunnel::serve(&ca.issue("DNS:localhost"), None, backend::echo_on);
    let bridge = bridge_to(&target.to_string(), &ca, &[]);
    refuses(
        &bridge,
        "TLS: certificate verify failed (IP address mismatch)",
    );
}

#[test]
fn whoever_cannot_prove_the_name_is_no_target() {
    let (ca, other) = (Authority::new(), Authority::new());
    for (pair, reason) in [
        (other.here(), "(unable to get local issuer certificate)"),
        (ca.issue("DNS:desk.example"), "(hostname mismatch)"),
        (
            ca.issue_for_days("DNS:localhost", (-30, -1)),
            "(certificate has expired)",
        ),
    ] {
        let (target, greetings) = tunnel::serve(&pair, None, |_| panic!("a byte came through"));
        let bridge = bridge_to(&format!("localhost:{}", target.port()), &ca, &[]);
        refuses(&bridge, &format!("TLS: certificate verify failed {reason}"));
        assert!(greetings.recv_timeout(DEADLINE).unwrap().is_err());
    }
}

#[test]
fn the_systems_authorities_do_not_know_the_tests() {
    let ca = Authority::new();
    let (target, _greetings) = tunnel::serve(&ca.here(), None, backend::echo_on);
    let target = format!("localhost:{}", target.port());
    let bridge = Bridge::start(&["--ssl-target", "127.0.0.1:{port}", &target]);
    refuses(&bridge, "(unable to get local issuer certificate)");
    let file = ca.certificate();
    let bridge = Bridge::start_with(&["--ssl-target", "127.0.0.1:{port}", &target], |command| {
        command.env("SSL_CERT_FILE", &file)
    });
    Ws::open(bridge.addr()).expect_echo("as OpenSSL's own variable says");
}

#[test]
fn a_target_without_tls_is_told_apart() {
    let ca = Authority::new();
    let bridge = bridge_to(&backend::echo().to_string(), &ca, &[]);
    assert_eq!(Ws::open(bridge.addr()).close(), UNREACHABLE);
    let line = bridge.wait_for_line(|line| line.starts_with("cannot connect to "));
    assert!(line.contains(": TLS: "), "{line}");
}

#[test]
fn a_name_of_its_own() {
    let ca = Authority::new();
    let pair = ca.issue("DNS:desk.example");
    let (target, greetings) = tunnel::serve(&pair, None, backend::echo_on);
    let more = ["--ssl-target-name", "desk.example"];
    let bridge = bridge_to(&target.to_string(), &ca, &more);
    Ws::open(bridge.addr()).expect_echo("known by another name");
    let (name, _) = greetings.recv_timeout(DEADLINE).unwrap().unwrap();
    assert_eq!(name.as_deref(), Some("desk.example"));
}

#[test]
fn insecure_takes_anybody_and_says_so_once_at_start() {
    let other = Authority::new();
    let pair = other.issue_for_days("DNS:elsewhere.example", (-30, -1));
    let (target, _greetings) = tunnel::serve(&pair, None, backend::echo_on);
    let target = format!("localhost:{}", target.port());
    let options = [
        "--ssl-target",
        "--ssl-target-insecure",
        "127.0.0.1:{port}",
        &target,
    ];
    let bridge = Bridge::start(&options);
    let warned = |bridge: &Bridge| {
        bridge
            .stderr()
            .matches("--ssl-target-insecure: nobody")
            .count()
    };
    // It comes before this.
    bridge.wait_for_line(|line| line.starts_with("bridging to "));
    assert_eq!(warned(&bridge), 1);
    for _ in 0..2 {
        Ws::open(bridge.addr()).expect_echo("whoever you are");
    }
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line == "reloaded");
    assert_eq!(warned(&bridge), 1);
}

#[test]
fn a_certificate_of_our_own_for_targets_that_ask() {
    let ca = Authority::new();
    let (target, greetings) = tunnel::serve(&ca.here(), Some(&ca), backend::echo_on);
    let ours = ca.issue("DNS:bridge.example");
    let key = ca.encrypt(&ours.key, "open sesame");
    let password = ca.path("password");
    fs::write(&password, "open sesame").unwrap();
    let target = target.to_string();
    let more = [
        "--ssl-target-cert",
        text(&ours.certificate),
        "--ssl-target-key",
        text(&key),
        "--key-password-file",
        text(&password),
    ];
    let bridge = bridge_to(&target, &ca, &more);
    Ws::open(bridge.addr()).expect_echo("let in");
    let (_, certificate) = greetings.recv_timeout(DEADLINE).unwrap().unwrap();
    let names = certificate.unwrap().subject_alt_names().unwrap();
    assert_eq!(names[0].dnsname(), Some("bridge.example"));
    // Without it: TLS 1.3 tells it only when the session has begun, so the record does.
    let bridge = bridge_to(&target, &ca, &[]);
    let mut client = Ws::open(bridge.addr());
    assert_eq!(client.close(), "1011 Target connection lost");
    client.send(&Frame::close(1011, ""));
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains("certificate required"), "{record}");
}

#[test]
fn a_unix_socket_with_a_name() {
    let ca = Authority::new();
    let context = tunnel::server(&ca.issue("DNS:desk.example"), None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let ssl = Ssl::new(&context).unwrap();
            let mut stream = ssl.accept(socket.unwrap()).unwrap();
            let mut word = [0; 4];
            stream.read_exact(&mut word).unwrap();
            stream.write_all(&word).unwrap();
        }
    });
    let file = ca.certificate();
    let options = ["--ssl-target", "--ssl-target-cafile", text(&file)];
    let there = ["--unix-target", text(&path), "127.0.0.1:{port}"];
    let name = ["--ssl-target-name", "desk.example"];
    let bridge = Bridge::start(&[&options[..], &name, &there].concat());
    Ws::open(bridge.addr()).expect_echo("four");
    let bridge = Bridge::spawn(&[&options[..], &there].concat());
    assert_eq!(bridge.wait().code(), Some(2));
    assert!(bridge.stderr().contains("needs --ssl-target-name"));
}

/// A target that says `data` by hand: the test decides how its connection ends.
fn says(
    data: Vec<u8>,
    end: impl Fn(openssl::ssl::SslStream<TcpStream>) + Clone + Send + 'static,
) -> (Authority, Bridge) {
    let ca = Authority::new();
    let context = tunnel::server(&ca.here(), None);
    let target = backend::serve(move |socket| {
        let mut stream = Ssl::new(&context).unwrap().accept(socket).unwrap();
        stream.write_all(&data).unwrap();
        end(stream);
    });
    let bridge = bridge_to(&target.to_string(), &ca, &[]);
    (ca, bridge)
}

#[test]
fn a_target_that_says_goodbye_is_heard_to_the_end() {
    let data = pattern(4 * MIB);
    let (_ca, bridge) = says(data.clone(), |mut stream| {
        let _ = stream.shutdown();
    });
    let end = Ws::open(bridge.addr()).end();
    assert!(end.data == data);
    assert_eq!(end.close, "1000 Target closed");
}

#[test]
fn a_target_that_just_goes_is_told_from_one_that_was_cut_off() {
    // Whoever is in between could have sent this end of file (RFC 8446, 6.1).
    let data = pattern(4 * MIB);
    let (_ca, bridge) = says(data.clone(), |stream| {
        stream.get_ref().shutdown(Shutdown::Write).unwrap();
        let _ = stream.get_ref().read(&mut [0; 64]);
    });
    let mut client = Ws::open(bridge.addr());
    let end = client.end();
    assert!(end.data == data);
    assert_eq!(end.close, "1011 Target connection lost");
    client.send(&Frame::close(1011, ""));
    let record = bridge.wait_for_line(|line| line.starts_with("session "));
    assert!(
        record.contains("fault=\"no close_notify: it may have been cut off\""),
        "{record}"
    );
}

#[test]
fn each_way_ends_alone() {
    // The client ends first: the target hears all of it, and its answer all comes back.
    let ca = Authority::new();
    let data = pattern(4 * MIB);
    let expected = data.clone();
    let (target, _greetings) = tunnel::serve(&ca.here(), None, move |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert!(all == expected);
        stream.write_all(&all).unwrap();
    });
    let bridge = bridge_to(&target.to_string(), &ca, &[]);
    let mut client = Ws::open(bridge.addr());
    client.send(&Frame::binary(data.clone()));
    client.send(&Frame::close(1000, ""));
    let end = client.end();
    assert!(end.data == data, "{} bytes", end.data.len());
    assert_eq!(end.close, "1000");

    // The target ends first: what the client still says arrives.
    let (tell, heard) = std::sync::mpsc::channel();
    let (target, _greetings) = tunnel::serve(&ca.here(), None, move |mut stream| {
        stream.write_all(b"that was all").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        tell.send(all).unwrap();
    });
    let bridge = bridge_to(&target.to_string(), &ca, &[]);
    let mut client = Ws::open(bridge.addr());
    let end = client.end();
    assert_eq!(
        (&end.data[..], &end.close[..]),
        (&b"that was all"[..], "1000 Target closed")
    );
    client.send(&Frame::binary(&data[..]));
    client.send(&Frame::close(1000, ""));
    assert!(heard.recv_timeout(DEADLINE).unwrap() == data);
}

#[test]
fn tls_on_both_sides_and_eight_mib_each_way_at_once() {
    let ca = Authority::new();
    let pair = ca.here();
    let (target, _greetings) = tunnel::serve(&ca.here(), None, backend::echo_on);
    let bridge = bridge_to(&target.to_string(), &ca, &pair.options());
    let mut client = tunnel::open(bridge.addr(), &ca);
    let data = pattern(8 * MIB);
    let frame = Frame::binary(&data[..]).encode();
    let mut writer = client.wire.stream().try_clone().unwrap();
    let back = thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&frame).unwrap());
        client.recv_data(data.len())
    });
    assert!(back == data);
}

#[test]
fn a_hangup_renews_whom_and_what_it_shows() {
    let (old, new) = (Authority::new(), Authority::new());
    let (target, greetings) = tunnel::serve(&new.here(), Some(&new), backend::echo_on);
    let ours = old.issue("DNS:old.example");
    let more = ours.options().map(|it| it.replace("--", "--ssl-target-"));
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let bridge = bridge_to(&target.to_string(), &old, &more);
    refuses(&bridge, "(self-signed certificate in certificate chain)");
    assert!(greetings.recv_timeout(DEADLINE).unwrap().is_err());

    // Half a renewal is none: the new authority stays out as long as our own pair is broken.
    fs::copy(new.certificate(), old.certificate()).unwrap();
    let Pair { certificate, key } = new.issue("DNS:new.example");
    fs::copy(certificate, &ours.certificate).unwrap();
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| {
        let path = ours.certificate.display();
        let fault = format!("--ssl-target-cert {path}: the key does not belong to the certificate");
        line == format!("not reloaded, everything stays as it was: {fault}")
    });
    assert_eq!(Ws::open(bridge.addr()).close(), UNREACHABLE);
    assert!(greetings.recv_timeout(DEADLINE).unwrap().is_err());

    fs::copy(key, &ours.key).unwrap();
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line == "reloaded");
    Ws::open(bridge.addr()).expect_echo("let in");
    let (_, certificate) = greetings.recv_timeout(DEADLINE).unwrap().unwrap();
    let names = certificate.unwrap().subject_alt_names().unwrap();
    assert_eq!(names[0].dnsname(), Some("new.example"));
}

#[test]
fn files_that_cannot_be_used() {
    let ca = Authority::new();
    let pair = ca.here();
    let missing = ca.path("missing.pem");
    let (cert, key, missing) = (text(&pair.certificate), text(&pair.key), text(&missing));
    for (options, begin) in [
        (&["--ssl-target-cafile", missing][..], "--ssl-target-cafile"),
        (&["--ssl-target-cafile", key], "--ssl-target-cafile"),
        (&["--ssl-target-cert", missing], "--ssl-target-cert"),
        (&["--ssl-target-cert", cert], "--ssl-target-key"),
        (
            &["--ssl-target-cert", cert, "--ssl-target-key", missing],
            "--ssl-target-key",
        ),
    ] {
        let there = ["--ssl-target", "127.0.0.1:{port}", "127.0.0.1:9"];
        let bridge = Bridge::spawn(&[options, &there].concat());
        assert_eq!(bridge.wait().code(), Some(1), "{}", *bridge);
        let said = bridge.stderr();
        let begin = format!("websockify: error: {begin} ");
        assert!(
            said.starts_with(&begin) && said.lines().count() == 1,
            "{said}"
        );
    }
}
