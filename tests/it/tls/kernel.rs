//! Sessions inside TLS go on in the next process, where the kernel does TLS. `make test-ktls` has such
//! kernels, with all else that is said of them; these are for who has one at hand.

use openssl::ssl::SslVersion;
use websockify::tls::kernel;

use super::{Authority, Dialer, text, tunnel};
use crate::backend;
use crate::last_bytes::pattern;
use crate::machine;
use crate::service::Service;
use crate::wire::{Frame, Ws};

const CIPHERS: [&str; 3] = [
    "TLS_AES_256_GCM_SHA384:ECDHE+AESGCM",
    "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_CHACHA20_POLY1305_SHA256:ECDHE+CHACHA20",
];

/// Says so where that cannot be tried.
fn is_there(test: &str) -> bool {
    let there = kernel::is_there(&[]);
    if !there {
        let test = format!("tls::kernel::{test}");
        machine::skip(&test, "the kernel does no TLS: make test-ktls");
    }
    there
}

fn goes_on(service: &mut Service, client: &mut Ws) {
    client.expect_echo(pattern(300_000));
    service.wait_for_stored(1);
    for round in 0..4 {
        let word = format!("while round {round} had no process");
        let say = |client: &mut Ws| client.send(&Frame::binary(word.clone()));
        if round % 2 == 0 {
            service.restart(|| say(client));
        } else {
            service.kill_still(|| say(client));
        }
        assert_eq!(client.recv_data(word.len()), word.as_bytes());
        let resumed = "1 of 1 sessions of the process before go on";
        service.process().wait_for_line(|line| line == resumed);
        client.expect_echo(pattern(70_000));
    }
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    let record = service
        .process()
        .wait_for_line(|line| line.starts_with("session "));
    assert!(record.contains(" code=1000 by=client "), "{record}");
    service.wait_for_stored(0);
}

#[test]
fn by_every_version_and_cipher() {
    if !is_there("by_every_version_and_cipher") {
        return;
    }
    let ca = Authority::new();
    let pair = ca.here();
    let target = backend::echo().to_string();
    for ciphers in CIPHERS {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let mut args = pair.options().to_vec();
            args.extend([target.as_str(), "--ssl-ciphers", ciphers]);
            let mut service = Service::start(&args);
            let dialed = Dialer::new(&ca).version(version).dial(service.addr());
            goes_on(&mut service, &mut dialed.unwrap().ws());
        }
    }
}

#[test]
fn to_the_target_as_well() {
    if !is_there("to_the_target_as_well") {
        return;
    }
    let ca = Authority::new();
    let pair = ca.here();
    let (target, _) = tunnel::serve(&pair, None, backend::echo_on);
    let (target, file) = (target.to_string(), ca.certificate());
    let to = [&target, "--ssl-target", "--ssl-target-cafile", text(&file)];
    let mut service = Service::start(&to);
    let mut plain = Ws::open(service.addr());
    goes_on(&mut service, &mut plain);
    let mut service = Service::start(&[&pair.options()[..], &to].concat());
    let mut client = tunnel::open(service.addr(), &ca);
    goes_on(&mut service, &mut client);
}

/// Both ends of it are TLS's own, also in the next process.
#[test]
fn its_end_is_one_of_tls_too() {
    if !is_there("its_end_is_one_of_tls_too") {
        return;
    }
    let ca = Authority::new();
    let pair = ca.here();
    let target = backend::echo().to_string();
    for is_ended in [true, false] {
        let mut args = pair.options().to_vec();
        args.push(&target);
        let mut service = Service::start(&args);
        let mut session = Dialer::new(&ca).dial(service.addr()).unwrap();
        assert_eq!(session.wire.request(crate::wire::UPGRADE).status, 101);
        service.wait_for_stored(1);
        service.restart(|| {});
        if is_ended {
            service.process().terminate();
        }
        session.wire.send(Frame::close(1000, "").encode());
        session.rest().expect("a close_notify after the session");
    }
}
