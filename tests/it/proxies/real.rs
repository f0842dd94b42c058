//! nginx, HAProxy and Caddy on either side of us, as the README has them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{bridge, record};
use crate::bridge::{Bridge, free_port};
use crate::process::Process;
use crate::readme::block;
use crate::tls::{Authority, Dialer, text};
use crate::wire::{Frame, UPGRADE, Wire, Ws};

/// An address of this machine that is not the one that proxies come from.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// nginx with one server that listens as `listen` says and has `inside`.
fn nginx(listen: &str, inside: &str) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {name};\n"))
        .collect();
    let config = format!(
        "daemon off; worker_processes 1; pid pid; error_log stderr notice; events {{}}\n\
         http {{ access_log off;\n{paths} server {{ listen {listen};\n{inside}\n}} }}\n"
    );
    fs::write(folder.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-p", text(folder.path()), "-c", "nginx.conf"]);
    let process = Process::spawn(&mut command, None);
    // Its sockets listen before that.
    process.wait_for_line(|line| line.contains("start worker process "));
    (process, folder)
}

/// HAProxy with this configuration behind its usual first lines.
fn haproxy(config: &str) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "defaults\n  timeout connect 10s\n  timeout client 30s\n  timeout server 30s\n{config}\n"
    );
    let path = folder.path().join("haproxy.cfg");
    fs::write(&path, config).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-Ws", "-f", text(&path)]);
    let process = Process::spawn(&mut command, Some(folder.path().join("notify")));
    process.wait_until("HAProxy's readiness", |seen| {
        seen.notices.contains("READY=1").then_some(())
    });
    (process, folder)
}

/// A client from [`ELSEWHERE`].
fn from_elsewhere(port: u16) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((ELSEWHERE, 0)).into())
        .unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&to.into()).unwrap();
    Wire::over(TcpStream::from(socket))
}

/// A block of the README's, with our port in the place of its.
fn readme(code: &str, port: u16) -> String {
    assert!(code.contains(":6080"), "{code}");
    code.replace(":6080", &format!(":{port}"))
}

/// The options of a command in the README.
fn options(code: &str) -> Vec<&str> {
    let words = code.split_whitespace();
    words.filter(|word| word.starts_with("--")).collect()
}

#[test]
fn nginx_before_us() {
    let bridge = bridge(&options(block("trusted-proxy")));
    let port = free_port();
    let (_nginx, _folder) = nginx(
        &format!("127.0.0.1:{port}"),
        &readme(block("nginx"), bridge.port()),
    );
    let claims = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n\
        X-Forwarded-Proto: https\r\n";
    let head = UPGRADE.replace("GET / ", "GET /websockify ");
    let mut ws = Ws::upgrade_with(from_elsewhere(port), &format!("{head}{claims}"));
    ws.expect_echo("by way of nginx");
    drop(ws);
    let record = record(&bridge);
    assert!(
        record.contains(&format!(" client={ELSEWHERE} ")),
        "{record}"
    );
}

#[test]
fn haproxy_before_us_as_an_http_proxy() {
    let bridge = bridge(&options(block("trusted-proxy")));
    let port = free_port();
    let code = readme(block("haproxy"), bridge.port()).replace(":80", &format!("127.0.0.1:{port}"));
    let (_haproxy, _folder) = haproxy(&code);
    let claims = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n";
    let mut ws = Ws::upgrade_with(from_elsewhere(port), &format!("{UPGRADE}{claims}"));
    ws.expect_echo("by way of HAProxy");
    drop(ws);
    let record = record(&bridge);
    assert!(
        record.contains(&format!(" client={ELSEWHERE} ")),
        "{record}"
    );
}

#[test]
fn caddy_before_us() {
    let bridge = bridge(&options(block("trusted-proxy")));
    let port = free_port();
    let code = readme(block("caddy"), bridge.port());
    let code = code.replace("desk.example.org", &format!("http://:{port}"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Caddyfile");
    fs::write(
        &path,
        format!("{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}}\n{code}"),
    )
    .unwrap();
    let mut command = Command::new("/usr/bin/caddy");
    command.args(["run", "--config", text(&path)]);
    let folder = folder.path().join("home");
    let caddy = Process::spawn(
        command.env("HOME", &folder).env_remove("XDG_CONFIG_HOME"),
        None,
    );
    caddy.wait_for_line(|line| line.contains("serving initial configuration"));
    let claims = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n\
        X-Forwarded-Proto: https\r\n";
    let mut ws = Ws::upgrade_with(from_elsewhere(port), &format!("{UPGRADE}{claims}"));
    ws.expect_echo("by way of Caddy");
    drop(ws);
    let record = record(&bridge);
    assert!(
        record.contains(&format!(" client={ELSEWHERE} ")),
        "{record}"
    );
}

#[test]
fn haproxy_before_us_with_the_proxy_protocol() {
    let ca = Authority::new();
    let pair = ca.here();
    let options = options(block("proxy-protocol"));
    for send in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2-ssl",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ] {
        let bridge = bridge(&[&options[..], &pair.options()].concat());
        let port = free_port();
        let code = readme(block("haproxy-tcp"), bridge.port())
            .replace(":443", &format!("127.0.0.1:{port}"))
            .replace("send-proxy-v2", send);
        let (_haproxy, _folder) = haproxy(&code);
        // Both kinds of clients: HAProxy passes bytes on.
        let plain = from_elsewhere(port);
        let own = plain.stream().local_addr().unwrap();
        Ws::upgrade(plain).expect_echo("by way of HAProxy");
        let record = record(&bridge);
        assert!(
            record.contains(&format!(" client={own} ")),
            "{send}: {record}"
        );
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut secure = Dialer::new(&ca).name("localhost").dial(to).unwrap();
        assert_eq!(secure.wire.request(UPGRADE).status, 101, "{send}");
    }
}

/// HAProxy ends TLS, and says so.
#[test]
fn haproxy_before_us_with_tls_of_its_own() {
    let ca = Authority::new();
    let pair = ca.here();
    let both = ca.join("both.pem", &[&pair.certificate, &pair.key]);
    let accept = [
        "--trusted-proxy=127.0.0.1",
        "--accept-proxy-protocol",
        "--ssl-only",
    ];
    let bridge = bridge(&[&pair.options()[..], &accept].concat());
    let (secure, plain) = (free_port(), free_port());
    let (_haproxy, _folder) = haproxy(&format!(
        "listen desk\n  mode tcp\n  bind 127.0.0.1:{secure} ssl crt {}\n  \
         bind 127.0.0.1:{plain}\n  server bridge {} send-proxy-v2-ssl",
        text(&both),
        bridge.addr()
    ));
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, secure));
    let mut inside = Dialer::new(&ca).name("localhost").dial(to).unwrap();
    assert_eq!(inside.wire.request(UPGRADE).status, 101);
    assert_eq!(from_elsewhere(plain).request(UPGRADE).status, 403);
}

/// What an HTTP server behind a bridge answers to a request through a WebSocket.
fn asked(bridge: &Bridge, headers: &str) -> String {
    let wire = Wire::connect(bridge.addr());
    let mut ws = Ws::upgrade_with(wire, &format!("{UPGRADE}{headers}"));
    ws.send(&Frame::binary("GET / HTTP/1.0\r\n\r\n"));
    let answer = String::from_utf8(ws.end().data).unwrap();
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[test]
fn nginx_behind_us() {
    let port = free_port();
    let answer = "return 200 \"$proxy_protocol_addr $proxy_protocol_port\";";
    let (_nginx, _folder) = nginx(&format!("127.0.0.1:{port} proxy_protocol"), answer);
    for version in ["v1", "v2"] {
        let bridge = Bridge::start(&[
            "--proxy-protocol",
            version,
            "--trusted-proxy=127.0.0.1",
            "127.0.0.1:{port}",
            &format!("127.0.0.1:{port}"),
        ]);
        for (headers, client) in [
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 "),
            (
                "Forwarded: for=\"[2001:db8::1]:4711\"\r\n",
                "2001:db8::1 4711",
            ),
        ] {
            assert_eq!(asked(&bridge, headers), client, "{version}");
        }
    }
}

#[test]
fn haproxy_behind_us_with_tls_and_without() {
    let ca = Authority::new();
    let pair = ca.here();
    let both = ca.join("both.pem", &[&pair.certificate, &pair.key]);
    let (plain, secure) = (free_port(), free_port());
    let answer = "http-request return status 200 content-type text/plain lf-string '%[src] %[src_port] %[dst]'";
    let (_haproxy, _folder) = haproxy(&format!(
        "frontend target\n  mode http\n  bind 127.0.0.1:{plain} accept-proxy\n  \
         bind 127.0.0.1:{secure} accept-proxy ssl crt {}\n  {answer}",
        text(&both)
    ));
    let authority = ca.certificate();
    let tls = ["--ssl-target", "--ssl-target-cafile", text(&authority)];
    for (port, more) in [(plain, &[][..]), (secure, &tls)] {
        for version in ["v1", "v2"] {
            let target = format!("127.0.0.1:{port}");
            let args = [
                "--proxy-protocol",
                version,
                "--trusted-proxy=127.0.0.1",
                "127.0.0.1:{port}",
                &target,
            ];
            let bridge = Bridge::start(&[&args, more].concat());
            for (headers, client) in [
                ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1  127.0.0.1"),
                (
                    "Forwarded: for=\"[2001:db8::1]:4711\"\r\n",
                    "2001:db8::1 4711 ::ffff:127.0.0.1",
                ),
            ] {
                assert_eq!(asked(&bridge, headers), client, "{version}");
            }
        }
    }
}

/// Who has no address is taken for us.
#[test]
fn haproxy_and_nginx_take_what_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bridge");
    let (one, other) = (free_port(), free_port());
    let (_nginx, _temp) = nginx(
        &format!("127.0.0.1:{one} proxy_protocol"),
        "return 200 \"$remote_addr\";",
    );
    let (_haproxy, _other_temp) = haproxy(&format!(
        "frontend target\n  mode http\n  bind 127.0.0.1:{other} accept-proxy\n  \
         http-request return status 200 content-type text/plain lf-string '%[src]'"
    ));
    for port in [one, other] {
        for version in ["v1", "v2"] {
            let target = format!("127.0.0.1:{port}");
            let _bridge = Bridge::start(&[
                "--proxy-protocol",
                version,
                "--unix-listen",
                text(&socket),
                &target,
            ]);
            let mut ws = Ws::upgrade(Wire::connect_unix(Path::new(&socket)));
            ws.send(&Frame::binary("GET / HTTP/1.0\r\n\r\n"));
            let answer = String::from_utf8(ws.end().data).unwrap();
            assert!(
                answer.ends_with("\r\n127.0.0.1"),
                "{version} {port}: {answer}"
            );
        }
    }
}
