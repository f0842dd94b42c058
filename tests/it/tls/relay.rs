//! Every byte, both ways at once, and what the ends of TLS mean to a session.

use std::io::Write;
use std::net::Shutdown;
use std::thread;

use super::{Authority, Dialer, bridge_with, tunnel};
use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::process::DEADLINE;
use crate::wire::{Frame, Wire, Ws};

const MIB: usize = 1 << 20;

/// A bridge inside TLS to a target of the test's own.
fn bridge_to(target: &str) -> (Authority, Bridge) {
    let ca = Authority::new();
    let pair = ca.here();
    let mut args = pair.options().to_vec();
    args.extend(["127.0.0.1:{port}", target]);
    let bridge = Bridge::start(&args);
    (ca, bridge)
}

#[test]
fn payloads_of_every_size_come_back_as_they_were() {
    let (ca, bridge) = bridge_to(&backend::echo().to_string());
    let mut client = tunnel::open(bridge.addr(), &ca);
    // Around the limits of frame headers, of a TLS record and of what is read at once.
    for size in [
        0, 1, 125, 126, 127, 16383, 16384, 16385, 65535, 65536, 262_144, 300_000, MIB,
    ] {
        client.expect_echo(pattern(size));
    }
    client.send(&Frame::close(1000, "done"));
    assert_eq!(client.close(), "1000 done");
}

#[test]
fn eight_mib_each_way_at_once() {
    let (ca, bridge) = bridge_to(&backend::echo().to_string());
    let mut client = tunnel::open(bridge.addr(), &ca);
    let data = pattern(8 * MIB);
    let frames: Vec<u8> = [MIB, 100_000, 7 * MIB - 100_000]
        .iter()
        .scan(0, |at, size| {
            *at += size;
            Some(Frame::binary(&data[*at - size..*at]).encode())
        })
        .flatten()
        .collect();
    let mut writer = client.wire.stream().try_clone().unwrap();
    let back = thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&frames).unwrap());
        client.recv_data(data.len())
    });
    assert!(back == data);
}

#[test]
fn a_target_that_says_all_and_closes_is_heard_to_the_end() {
    let said = pattern(4 * MIB);
    let (ca, bridge) = bridge_to(&backend::say(said.clone()).to_string());
    let mut client = tunnel::open(bridge.addr(), &ca);
    let end = client.end();
    assert!(end.data == said);
    assert_eq!(end.close, "1000 Target closed");
}

#[test]
fn a_goodbye_is_answered_with_what_the_target_still_says() {
    let (target, heard) = backend::hear("last words");
    let (ca, bridge) = bridge_to(&target.to_string());
    let mut client = tunnel::open(bridge.addr(), &ca);
    client.send(&Frame::binary(pattern(MIB)));
    client.send(&Frame::close(1000, ""));
    assert!(backend::next(&heard) == pattern(MIB));
    let end = client.end();
    assert_eq!(
        (&end.data[..], &end.close[..]),
        (&b"last words"[..], "1000")
    );
}

#[test]
fn an_end_of_tls_without_a_close_frame_still_lets_the_target_answer() {
    let (target, heard) = backend::hear("last words");
    let (ca, bridge) = bridge_to(&target.to_string());
    let mut client = tunnel::open(bridge.addr(), &ca);
    client.send(&Frame::binary("first words"));
    client.wire.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(backend::next(&heard), b"first words");
    let end = client.end();
    assert_eq!(end.data, b"last words");
}

#[test]
fn every_end_of_ours_is_one_of_tls_too() {
    // The page's connection, and the session's after the close frames.
    let (ca, bridge) = bridge_to(&backend::echo().to_string());
    let mut page = Dialer::new(&ca).dial(bridge.addr()).unwrap();
    page.wire
        .send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let answer = page.rest().expect("a close_notify after the page");
    assert!(answer.starts_with(b"HTTP/1.1 405 "));
    let mut session = Dialer::new(&ca).dial(bridge.addr()).unwrap();
    assert_eq!(session.wire.request(crate::wire::UPGRADE).status, 101);
    session.wire.send(Frame::close(1000, "").encode());
    session.rest().expect("a close_notify after the session");
}

#[test]
fn so_is_an_end_that_the_target_or_the_server_begins() {
    let ends_itself = bridge_to(&backend::say("bye").to_string());
    let is_ended = bridge_to(&backend::echo().to_string());
    let unreachable = bridge_to("no-such-host.invalid:5900");
    for (ended, (ca, bridge)) in [(false, ends_itself), (true, is_ended), (false, unreachable)] {
        let mut session = Dialer::new(&ca).dial(bridge.addr()).unwrap();
        assert_eq!(session.wire.request(crate::wire::UPGRADE).status, 101);
        if ended {
            bridge.terminate();
        }
        // The bridge's close frame comes before its end, which waits for the answer.
        while session.wire.take(1).unwrap() != [0x88] {}
        session.wire.send(Frame::close(1000, "").encode());
        session.rest().expect("a close_notify after the session");
    }
}

#[test]
fn a_client_that_vanishes_ends_its_session() {
    let (target, heard) = backend::hear("");
    let (ca, bridge) = bridge_to(&target.to_string());
    let mut client = tunnel::open(bridge.addr(), &ca);
    client.send(&Frame::binary("gone"));
    drop(client);
    assert_eq!(heard.recv_timeout(DEADLINE).unwrap(), b"gone");
    bridge.wait_for_line(|line| line.starts_with("session ") && line.contains("code=1006"));
}

#[test]
fn plain_and_tls_clients_share_the_port() {
    let ca = Authority::new();
    let bridge = bridge_with(&ca.here().options());
    let mut inside = tunnel::open(bridge.addr(), &ca);
    let mut plain = Ws::open(bridge.addr());
    plain.expect_echo("in the clear");
    inside.expect_echo("inside");
    plain.expect_echo("still");
    let page = Wire::connect(bridge.addr()).request("GET / HTTP/1.1\r\nHost: h\r\n");
    assert_eq!(
        (page.status, page.header("strict-transport-security")),
        (405, None)
    );
}
