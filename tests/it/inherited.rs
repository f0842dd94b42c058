//! Sockets that a service manager passes, handed over by systemd's own `systemd-socket-activate`,
//! and the one that inetd leaves on standard input.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::backend;
use crate::bridge::free_port;
use crate::process::Process;
use crate::wire::{Frame, Wire, Ws};

const OURS: &str = env!("CARGO_BIN_EXE_websockify");

/// Our program with `args`, under sockets that systemd-socket-activate opens and passes when the
/// first client comes.
pub(crate) fn activated(sockets: &[&str], args: &[&str]) -> Process {
    let mut command = Command::new("systemd-socket-activate");
    command
        .args(sockets)
        .arg(OURS)
        .args(args)
        .stdin(Stdio::null());
    let process = Process::spawn(&mut command, None);
    let listening = sockets
        .iter()
        .filter(|arg| arg.starts_with("--listen"))
        .count();
    process.wait_until("listening sockets", |seen| {
        (seen.stderr.matches("Listening on").count() == listening).then_some(())
    });
    process
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn a_client_that_came_before_the_program_is_served() {
    let port = free_port();
    let bridge = activated(
        &[&format!("--listen=127.0.0.1:{port}")],
        &[&backend::echo().to_string()],
    );
    Ws::open(local(port)).expect_echo("activated");
    bridge.wait_for_line(|line| line == format!("listening on 127.0.0.1:{port}"));
    // Unlike a socket of our own, it goes on listening after us: nothing to remove.
    bridge.terminate();
    assert!(bridge.wait().success());
}

#[test]
fn several_sockets_of_both_kinds_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (one, other) = (free_port(), free_port());
    let _bridge = activated(
        &[
            &format!("--listen=127.0.0.1:{one}"),
            &format!("--listen=127.0.0.1:{other}"),
            &format!("--listen={}", path.display()),
            "--fdname=web:admin:proxy",
        ],
        &[&backend::echo().to_string()],
    );
    Ws::open(local(one)).expect_echo("one");
    Ws::open(local(other)).expect_echo("other");
    Ws::upgrade(Wire::connect_unix(&path)).expect_echo("unix");
}

#[test]
fn a_command_line_with_a_port_works_under_a_socket_unit_as_it_is() {
    let port = free_port();
    let target = backend::echo().to_string();
    let bridge = activated(&[&format!("--listen=127.0.0.1:{port}")], &["6080", &target]);
    Ws::open(local(port)).expect_echo("both");
    bridge.wait_for_line(|line| line == format!("listening on 127.0.0.1:{port}"));
    assert_eq!(bridge.stderr().matches("listening on").count(), 1);
}

#[test]
fn a_datagram_socket_is_refused_by_its_name() {
    let port = free_port();
    let bridge = activated(
        &[
            &format!("--listen=127.0.0.1:{port}"),
            "--datagram",
            "--fdname=wrong",
        ],
        &["localhost:1"],
    );
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.send_to(b"wake up", local(port)).unwrap();
    bridge.wait_for_line(|line| line.contains("'wrong' is a datagram socket"));
    assert_eq!(bridge.wait().code(), Some(1));
}

/// Our program with `socket` for its standard input.
fn from_inetd(socket: impl Into<OwnedFd>, args: &[&str]) -> Process {
    let mut command = Command::new(OURS);
    command
        .arg("--inetd")
        .args(args)
        .stdin(Stdio::from(socket.into()));
    Process::spawn(&mut command, None)
}

#[test]
fn inetd_waits_with_a_listening_socket_of_any_family() {
    let target = backend::echo().to_string();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let _bridge = from_inetd(listener, &[&target]);
        Ws::open(address).expect_echo(address.to_string());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _bridge = from_inetd(UnixListener::bind(&path).unwrap(), &[&target]);
    Ws::upgrade(Wire::connect_unix(&path)).expect_echo("unix");
}

#[test]
fn inetd_nowait_passes_one_client_and_the_program_ends_with_it() {
    let target = backend::echo().to_string();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (passed, _) = listener.accept().unwrap();
    let bridge = from_inetd(passed, &[&target]);
    let mut client = Ws::upgrade(Wire::over(client));
    client.expect_echo("over TCP");
    client.send(&Frame::close(1000, ""));
    assert_eq!(client.close(), "1000");
    assert_eq!(bridge.wait().code(), Some(0));

    let (client, passed) = UnixStream::pair().unwrap();
    let bridge = from_inetd(passed, &[&target]);
    let mut client = Ws::upgrade(Wire::over(TcpStream::from(OwnedFd::from(client))));
    client.expect_echo("over a Unix socket");
    drop(client);
    assert_eq!(bridge.wait().code(), Some(0));
}

/// inetd and systemd's `StandardInput=socket` leave the client on standard output and error, too.
#[test]
fn inetd_nowait_writes_nothing_of_its_own_to_the_client() {
    let (dead, _refusing) = backend::refuse();
    for (target, echoes) in [(backend::echo(), true), (dead, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (passed, _) = listener.accept().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$@\" >&0 2>&0", "sh", OURS, "--inetd", "-v"])
            .args(["--traffic", &target.to_string()])
            .stdin(Stdio::from(OwnedFd::from(passed)));
        let bridge = Process::spawn(&mut command, None);
        drop(command);
        let mut client = Ws::upgrade(Wire::over(client));
        if echoes {
            client.expect_echo("nothing but this");
            client.send(&Frame::close(1000, ""));
            assert_eq!(client.close(), "1000");
        } else {
            let failed = "1011 Failed to connect to downstream server";
            assert_eq!(client.close(), failed);
            client.send(&Frame::close(1011, ""));
        }
        assert_eq!(client.wire.rest(), b"");
        assert_eq!(bridge.wait().code(), Some(0));
    }
}

/// A client that leaves its page unread must not hold the program for ever; a session's may pause.
#[test]
fn inetd_nowait_bounds_an_unread_answer() {
    let target = backend::echo().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (passed, _) = listener.accept().unwrap();
    let ours = passed.try_clone().unwrap();
    let _bridge = from_inetd(passed, &[&target]);
    let mut wire = Wire::over(client);
    // An answer without a body.
    let head = "HEAD / HTTP/1.1\r\nHost: h\r\n";
    assert_eq!(wire.request(head).status, 405);
    let timeout = || SockRef::from(&ours).tcp_user_timeout().unwrap();
    assert_eq!(timeout(), Some(Duration::from_secs(60)));
    Ws::upgrade(wire).expect_echo("a session");
    assert_eq!(timeout(), None);
}

/// Nor does a start that fails.
#[test]
fn inetd_with_a_wrong_option_does_not_tell_the_client() {
    let (client, passed) = UnixStream::pair().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" >&0 2>&0", "sh", OURS, "--inetd"])
        .stdin(Stdio::from(OwnedFd::from(passed)));
    let bridge = Process::spawn(&mut command, None);
    drop(command);
    assert_eq!(bridge.wait().code(), Some(2));
    let mut client = Wire::over(TcpStream::from(OwnedFd::from(client)));
    assert_eq!(client.rest(), b"");
}

#[test]
fn inetd_without_a_socket_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let bridge = from_inetd(file, &["localhost:1"]);
    assert_eq!(bridge.wait().code(), Some(1));
    assert!(
        bridge
            .stderr()
            .contains("standard input is not a TCP or Unix stream socket")
    );
}

/// A living socket that is no stream, or whose queue is full, is as much somebody's as one that
/// answers.
#[test]
fn a_living_socket_at_unix_listen_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let full = |kind| {
        let path = folder.path().join(format!("{kind:?}"));
        let address = SockAddr::unix(&path).unwrap();
        let socket = Socket::new(Domain::UNIX, kind, None).unwrap();
        socket.bind(&address).unwrap();
        let mut waiting = Vec::new();
        if kind != Type::DGRAM {
            socket.listen(0).unwrap();
            loop {
                let client = Socket::new(Domain::UNIX, kind, None).unwrap();
                client.set_nonblocking(true).unwrap();
                if client.connect(&address).is_err() {
                    break;
                }
                waiting.push(client);
            }
        }
        (path, socket, waiting)
    };
    for kind in [Type::STREAM, Type::DGRAM, Type::SEQPACKET] {
        let (path, _socket, _waiting) = full(kind);
        let before = std::fs::metadata(&path).unwrap().ino();
        let mut command = Command::new(OURS);
        command
            .args(["--unix-listen", path.to_str().unwrap(), "localhost:1"])
            .stdin(Stdio::null());
        let bridge = Process::spawn(&mut command, None);
        bridge.wait_for_line(|line| line.ends_with("another program listens there"));
        assert_eq!(bridge.wait().code(), Some(1));
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), before);
    }
}

/// A restarted service finds what it stored with the manager among its sockets.
#[test]
fn a_descriptor_that_does_not_listen_is_no_door() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = Command::new("sh");
    let pass = "exec 3<&0 4</dev/null 0</dev/null; \
                LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:session-1 exec \"$@\"";
    command
        .args(["-c", pass, "sh", OURS, &backend::echo().to_string()])
        .stdin(Stdio::from(OwnedFd::from(listener)));
    let bridge = Process::spawn(&mut command, None);
    bridge
        .wait_for_line(|line| line == "inherited descriptor 'session-1' does not listen: left out");
    Ws::open(address).expect_echo("by the other one");
}
