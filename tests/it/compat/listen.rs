//! Where the bridge listens, and what it connects to.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::wire::{UPGRADE, Wire, Ws};

/// One session over a Unix socket.
fn expect_echo_at(path: &Path) {
    Ws::upgrade(Wire::connect_unix(path)).expect_echo("hello");
}

/// Without a host every IPv4 address will do; hosts are names and addresses, IPv6 with or without
/// brackets.
#[test]
fn hosts() {
    let target = backend::echo().to_string();
    let v4 = Ipv4Addr::LOCALHOST.into();
    let v6 = Ipv6Addr::LOCALHOST.into();
    for (listen, ip) in [
        ("{port}", v4),
        (":{port}", v4),
        ("0.0.0.0:{port}", v4),
        ("localhost:{port}", v4),
        ("[::1]:{port}", v6),
        ("::1:{port}", v6),
    ] {
        let bridge = Bridge::start(&[listen, &target]);
        Ws::open(SocketAddr::new(ip, bridge.port())).expect_echo(listen);
    }
}

/// A port alone is every address; websockify stops at IPv4.
#[test]
fn every_address() {
    let bridge = Bridge::start(&["{port}", &backend::echo().to_string()]);
    Ws::open((Ipv4Addr::LOCALHOST, bridge.port())).expect_echo("hello");
    let over_v6 = TcpStream::connect((Ipv6Addr::LOCALHOST, bridge.port())).is_ok();
    assert_eq!(over_v6, differs("every-address", false, true));
}

/// A host with several addresses is listened on at each; websockify takes the first, IPv4 before IPv6.
#[test]
fn every_address_of_a_host() {
    let Some(apart) = machine::apart("--mount", "compat::listen::every_address_of_a_host") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 two\n::1 two\n").unwrap();
    let mount = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let bridge = Bridge::start_under(
        &[&apart[..], &["sh", "-c", &mount, "sh"]].concat(),
        &["two:{port}", &backend::echo().to_string()],
    );
    Ws::open((Ipv4Addr::LOCALHOST, bridge.port())).expect_echo("hello");
    let over_v6 = TcpStream::connect((Ipv6Addr::LOCALHOST, bridge.port())).is_ok();
    assert_eq!(over_v6, differs("every-address-of-a-host", false, true));
}

/// Whatever /etc/hosts makes of it.
#[test]
fn localhost() {
    let Some(apart) = machine::apart("--mount", "compat::listen::localhost") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.2 localhost\n").unwrap();
    let mount = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let target = format!("localhost:{}", backend::echo().port());
    let bridge = Bridge::start_under(
        &[&apart[..], &["sh", "-c", &mount, "sh"]].concat(),
        &["127.0.0.1:{port}", &target],
    );
    let mut ws = Ws::open(bridge.addr());
    if differs("localhost", false, true) {
        ws.expect_echo("here");
    } else {
        assert_eq!(ws.close(), "1011 Failed to connect to downstream server");
    }
}

/// With -6 a port alone is every address of both families.
#[test]
fn prefer_ipv6() {
    let target = backend::echo().to_string();
    for option in ["-6", "--prefer-ipv6"] {
        let bridge = Bridge::start(&[option, "{port}", &target]);
        Ws::open((Ipv6Addr::LOCALHOST, bridge.port())).expect_echo("hello");
        Ws::open((Ipv4Addr::LOCALHOST, bridge.port())).expect_echo("hello");
    }
}

/// A target's host is a name or an address, IPv6 with or without brackets.
#[test]
fn targets() {
    let v4 = backend::echo().port();
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on).port();
    for target in [
        format!("localhost:{v4}"),
        format!(":{v4}"),
        format!("[::1]:{v6}"),
        format!("::1:{v6}"),
    ] {
        let bridge = Bridge::to(&target);
        Ws::open(bridge.addr()).expect_echo(target);
    }
}

#[test]
fn unix_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("target");
    backend::echo_at(&path);
    let option = format!("--unix-target={}", path.display());
    let bridge = Bridge::start(&["127.0.0.1:{port}", &option]);
    Ws::open(bridge.addr()).expect_echo("hello");
    fs::remove_file(&path).unwrap();
    assert_eq!(
        Ws::open(bridge.addr()).close(),
        "1011 Failed to connect to downstream server"
    );
}

/// A Unix socket to listen on takes the place of the first argument; nobody else may use it unless
/// the mode says so.
#[test]
fn unix_listen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("listen");
    let option = format!("--unix-listen={}", path.display());
    let target = backend::echo().to_string();
    for (more, mode) in [(vec![], 0o600), (vec!["--unix-listen-mode=660"], 0o660)] {
        let bridge = Bridge::start(&[&[option.as_str(), &target], &*more].concat());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            mode
        );
        expect_echo_at(&path);
        bridge.terminate();
        assert_eq!(bridge.wait().code(), Some(0));
        assert_eq!(path.exists(), differs("unix-listen-leftover", true, false));
    }
}

/// A socket that a dead bridge left is replaced; one that is alive, and a file that is no socket,
/// are somebody's.
#[test]
fn unix_listen_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("listen");
    let option = format!("--unix-listen={}", path.display());
    let target = backend::echo().to_string();

    drop(UnixListener::bind(&path).unwrap());
    let bridge = Bridge::start(&[&option, &target]);
    expect_echo_at(&path);
    drop(bridge);

    let _ = fs::remove_file(&path);
    fs::write(&path, "precious").unwrap();
    expect_taken(&[&option, &target], &path);
    assert_eq!(
        fs::read_to_string(&path).ok().as_deref(),
        differs("unix-listen-file", None, Some("precious"))
    );

    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    expect_taken(&[&option, &target], &path);
    drop(listener);
}

/// Expects a start with `args` to fail and to leave `path` alone, or theirs to take it.
fn expect_taken(args: &[&str], path: &Path) {
    if differs("unix-listen-file", true, false) {
        let _bridge = Bridge::start(args);
        expect_echo_at(path);
    } else {
        let bridge = Bridge::spawn(args);
        assert_eq!(bridge.wait().code(), Some(1));
        let stderr = bridge.stderr();
        assert!(stderr.contains(path.to_str().unwrap()), "{stderr}");
    }
}

/// A relative path is relative to where the bridge was started, also with --web.
#[test]
fn relative_paths() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("web")).unwrap();
    let target = backend::echo().to_string();
    let args = ["--web=web", "--unix-listen=socket", &target];
    let _bridge = Bridge::start_with(&args, |command| command.current_dir(folder.path()));
    expect_echo_at(
        &folder
            .path()
            .join(differs("relative-paths", "web/socket", "socket")),
    );
}

/// From inetd, the listening socket is standard input.
#[test]
fn inetd() {
    let target = backend::echo().to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bridge = Bridge::start_with(&["--inetd", &target], |command| {
        command.stdin(OwnedFd::from(listener.try_clone().unwrap()))
    });
    for _ in 0..2 {
        Ws::open(listener.local_addr().unwrap()).expect_echo("hello");
    }
    bridge.terminate();
    assert_eq!(bridge.wait().code(), Some(0));
}

/// From inetd in its other mode, standard input is one client.
#[test]
fn inetd_connected() {
    let target = backend::echo().to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let bridge = Bridge::start_with(&["--inetd", &target], |command| {
        command.stdin(OwnedFd::from(accepted.try_clone().unwrap()))
    });
    drop(accepted);
    let mut wire = Wire::over(client);
    wire.send(format!("{UPGRADE}\r\n"));
    if differs("inetd-connected", true, false) {
        bridge.wait_for_line(|line| line == "handler exception: [Errno 22] Invalid argument");
        return;
    }
    assert_eq!(wire.response().status, 101);
    let mut ws = Ws { wire };
    ws.expect_echo("hello");
    drop(ws);
    assert_eq!(bridge.wait().code(), Some(0));
}

/// Each socket that is listened on has its line in the log.
#[test]
fn told_in_the_log() {
    let bridge = Bridge::to("127.0.0.1:1");
    let said = differs("log", "  - Listen on ", "listening on ");
    let line = format!("{said}{}", bridge.addr());
    bridge.wait_for_line(|seen| seen.ends_with(&line));
}
