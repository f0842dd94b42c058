//! Ways to a target.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::backend;
use crate::bridge::Bridge;
use crate::wire::Ws;

/// A bridge to `name:port` on a machine whose /etc/hosts says `hosts`.
fn bridge_where(hosts: &str, name: &str, port: u16) -> Bridge {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    fs::write(&file, hosts).unwrap();
    let mount = format!("mount --bind {} /etc/hosts && exec \"$@\"", file.display());
    let target = format!("{name}:{port}");
    Bridge::start_under(
        &[
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            &mount,
            "sh",
        ],
        &["127.0.0.1:{port}", &target],
    )
}

#[test]
fn a_name_with_two_addresses_is_reached_at_the_one_that_listens() {
    let v4 = backend::echo();
    let bridge = bridge_where("127.0.0.1 two\n::1 two\n", "two", v4.port());
    Ws::open(bridge.addr()).expect_echo("over IPv4");
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    let bridge = bridge_where("127.0.0.1 two\n::1 two\n", "two", v6.port());
    Ws::open(bridge.addr()).expect_echo("over IPv6");
}

#[test]
fn an_address_that_does_not_answer_costs_a_moment() {
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    // IPv4 of the same port: nobody accepts and the queue is full, so the kernel drops whoever
    // else comes.
    let silent = SocketAddr::from(([127, 0, 0, 1], v6.port()));
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&silent.into()).unwrap();
    full.listen(0).unwrap();
    let _queue = std::net::TcpStream::connect(silent).unwrap();
    for order in ["127.0.0.1 two\n::1 two\n", "::1 two\n127.0.0.1 two\n"] {
        let bridge = bridge_where(order, "two", v6.port());
        let began = Instant::now();
        Ws::open(bridge.addr()).expect_echo("past the silent one");
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }
    let bridge = Bridge::to(&silent);
    let began = Instant::now();
    assert_eq!(
        Ws::open(bridge.addr()).close(),
        "1011 Failed to connect to downstream server"
    );
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(9) && took < Duration::from_secs(13),
        "{took:?}"
    );
}

#[test]
fn an_ipv6_target_in_both_spellings() {
    let target = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    for text in [target.to_string(), format!("::1:{}", target.port())] {
        let bridge = Bridge::to(&text);
        Ws::open(bridge.addr()).expect_echo("over IPv6");
    }
}

#[test]
fn a_target_that_cannot_be_reached_is_named_in_the_log_and_the_next_try_works() {
    let (address, refusing) = backend::refuse();
    let bridge = Bridge::to(&address);
    let failed = "1011 Failed to connect to downstream server";
    assert_eq!(Ws::open(bridge.addr()).close(), failed);
    let said = format!("cannot connect to {address} for client=127.0.0.1:");
    bridge.wait_for_line(|line| line.starts_with(&said) && line.contains("refused"));
    drop(refusing);
    backend::serve_on(address, backend::echo_on);
    Ws::open(bridge.addr()).expect_echo("up again");
}

#[test]
fn a_name_that_does_not_resolve_is_one_sessions_affair() {
    let bridge = Bridge::to("no-such-host.invalid:5900");
    let failed = "1011 Failed to connect to downstream server";
    assert_eq!(Ws::open(bridge.addr()).close(), failed);
    bridge.wait_for_line(|line| line.starts_with("cannot connect to no-such-host.invalid:5900"));
}
