//! Ways to a target.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, mkfifoat};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::wire::{Frame, Wire, Ws};

/// A bridge to `name:port` on a machine whose /etc/hosts says `hosts`.
fn bridge_where(apart: &[&str], hosts: &str, name: &str, port: u16) -> Bridge {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    fs::write(&file, hosts).unwrap();
    let target = format!("{name}:{port}");
    bridge_with(apart, &file, &["127.0.0.1:{port}", &target])
}

/// A bridge on a machine whose /etc/hosts is `file`.
fn bridge_with(apart: &[&str], file: &Path, args: &[&str]) -> Bridge {
    let mount = format!("mount --bind {} /etc/hosts && exec \"$@\"", file.display());
    Bridge::start_under(&[apart, &["sh", "-c", &mount, "sh"]].concat(), args)
}

#[test]
fn a_name_with_two_addresses_is_reached_at_the_one_that_listens() {
    let Some(apart) = machine::apart(
        "--mount",
        "targets::a_name_with_two_addresses_is_reached_at_the_one_that_listens",
    ) else {
        return;
    };
    let v4 = backend::echo();
    let bridge = bridge_where(&apart, "127.0.0.1 two\n::1 two\n", "two", v4.port());
    Ws::open(bridge.addr()).expect_echo("over IPv4");
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    let bridge = bridge_where(&apart, "127.0.0.1 two\n::1 two\n", "two", v6.port());
    Ws::open(bridge.addr()).expect_echo("over IPv6");
}

/// A rush of clients may fill the queue for a moment.
#[test]
fn a_unix_socket_whose_queue_is_full_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let queued = UnixStream::connect(&path).unwrap();
    let target = format!("--unix-target={}", path.display());
    let bridge = Bridge::start(&["127.0.0.1:{port}", &target]);
    let mut ws = Ws::open(bridge.addr());
    let client = ws.wire.stream().try_clone().unwrap();
    let usual = client.read_timeout().unwrap();
    let moment = Some(Duration::from_millis(200));
    client.set_read_timeout(moment).unwrap();
    let told = client.peek(&mut [0]).unwrap_err();
    assert_eq!(told.kind(), ErrorKind::WouldBlock);
    client.set_read_timeout(usual).unwrap();
    drop((listener.accept().unwrap(), queued));
    let (accepted, _) = listener.accept().unwrap();
    (&accepted).write_all(b"hello").unwrap();
    assert_eq!(ws.recv_data(5), b"hello");
}

#[test]
fn an_address_that_does_not_answer_costs_a_moment() {
    let Some(apart) = machine::apart(
        "--mount",
        "targets::an_address_that_does_not_answer_costs_a_moment",
    ) else {
        return;
    };
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    // The same port of an IPv4 address that nobody else uses: nobody accepts and the queue is
    // full, so the kernel drops whoever else comes.
    let silent = SocketAddr::from(([127, 0, 0, 9], v6.port()));
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&silent.into()).unwrap();
    full.listen(0).unwrap();
    let _queue = std::net::TcpStream::connect(silent).unwrap();
    for order in ["127.0.0.9 two\n::1 two\n", "::1 two\n127.0.0.9 two\n"] {
        let bridge = bridge_where(&apart, order, "two", v6.port());
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
    backend::serve_after_all(refusing, backend::echo_on);
    Ws::open(bridge.addr()).expect_echo("up again");
}

#[test]
fn a_name_that_does_not_resolve_is_one_sessions_affair() {
    let bridge = Bridge::to("no-such-host.invalid:5900");
    let failed = "1011 Failed to connect to downstream server";
    assert_eq!(Ws::open(bridge.addr()).close(), failed);
    bridge.wait_for_line(|line| line.starts_with("cannot connect to no-such-host.invalid:5900"));
}

/// A look-up cannot be called off: those of clients that have left must not take the threads that
/// read files.
#[test]
fn a_silent_resolver_costs_a_few_threads_and_no_files() {
    let Some(apart) = machine::apart(
        "--mount",
        "targets::a_silent_resolver_costs_a_few_threads_and_no_files",
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page"), "page").unwrap();
    let web = format!("--web={}", folder.path().display());
    // Whoever opens a pipe that nobody writes to waits.
    let hosts = folder.path().join("hosts");
    mkfifoat(CWD, &hosts, Mode::RWXU).unwrap();
    let args = ["127.0.0.1:{port}", "db.example:5900", &web];
    let bridge = bridge_with(&apart, &hosts, &args);
    for _ in 0..600 {
        Ws::open(bridge.addr());
    }
    let began = Instant::now();
    let mut page = Wire::connect(bridge.addr());
    assert_eq!(
        page.request("GET /page HTTP/1.1\r\nHost: h\r\n").status,
        200
    );
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    let status = format!("/proc/{}/task", bridge.pid().as_raw_nonzero());
    let threads = fs::read_dir(status).unwrap().count();
    assert!(threads < 200, "{threads} threads");
}

/// The kernel may choose the target's own port for our end, where nobody listens on it.
#[test]
fn a_dead_target_is_not_taken_for_an_echo() {
    let Some(apart) = machine::apart("--net", "targets::a_dead_target_is_not_taken_for_an_echo")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let one_port = "ip link set lo up && echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range \
                    && exec \"$@\"";
    let listen = format!("--unix-listen={}", path.display());
    let bridge = Bridge::start_under(
        &[&apart[..], &["sh", "-c", one_port, "sh"]].concat(),
        &[&listen, "127.0.0.1:40000"],
    );
    let mut client = Ws::upgrade(Wire::connect_unix(&path));
    client.send(&Frame::binary("anybody there?"));
    let failed = "1011 Failed to connect to downstream server";
    assert_eq!(client.close(), failed);
    bridge.wait_for_line(|line| line.contains("127.0.0.1:40000") && line.contains("refused"));
}
