//! `TokenRedis`: a real Redis server, reached in every way it can be, and out of reach.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{bridge, head, opened, refused};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::process::{DEADLINE, Process};
use crate::tls::{Authority, text};
use crate::wire::{Wire, Ws};

/// A Redis server of the test's own. What it is told is gone when it ends.
pub(crate) struct Server {
    process: Process,
    _folder: TempDir,
    cli: Vec<String>,
}

impl Server {
    /// One on `port`, with more options.
    pub(crate) fn on(port: u16, options: &[&str]) -> Self {
        let port = port.to_string();
        let options = [&["--bind", "127.0.0.1", "--port", &port], options].concat();
        Self::start(&options, &["-p", &port])
    }

    /// One whose way in is in the options, and in those of redis-cli.
    fn start(options: &[&str], cli: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command
            .args(["--save", "", "--dir", text(folder.path())])
            .args(options);
        let process = Process::spawn(&mut command, None);
        process.wait_until("Redis", |seen| {
            assert!(seen.status.is_none(), "{}", seen.stdout);
            seen.stdout
                .contains("eady to accept connections")
                .then_some(())
        });
        let cli = cli.iter().map(|it| (*it).to_owned()).collect();
        Self {
            process,
            _folder: folder,
            cli,
        }
    }

    /// Runs one command by redis-cli.
    pub(crate) fn tell(&self, words: &[&str]) {
        let mut cli = Command::new("redis-cli");
        let said = cli.args(&self.cli).arg("-e").args(words).output().unwrap();
        let answer = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success() && answer.trim() == "OK", "{said:?}");
    }

    fn kill(self) {
        self.process.signal(Signal::KILL);
        self.process.wait();
    }
}

fn redis(source: &str) -> Bridge {
    bridge("TokenRedis", Path::new(source), &[])
}

fn unavailable(bridge: &Bridge, reason: &str) {
    let (response, body) = refused(bridge, "/?token=secret1");
    assert_eq!(response.status, 503);
    assert!(body.contains("at the moment"), "{body}");
    bridge.wait_for_line(|line| line.starts_with("token failed ") && line.contains(reason));
    assert!(!bridge.stderr().contains("secret"), "{}", bridge.stderr());
}

#[test]
fn databases_namespaces_and_what_values_look_like() {
    let port = free_port();
    let server = Server::on(port, &[]);
    let target = backend::echo();
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    server.tell(&["SET", "secret1", &target.to_string()]);
    server.tell(&["SET", "secret2", &format!("{{\"host\": \"{target}\"}}\n")]);
    server.tell(&["SET", "secret3", &v6.to_string()]);
    server.tell(&["SET", "secret4", "nonsense"]);
    let bridge = redis(&format!("127.0.0.1:{port}"));
    for token in ["secret1", "secret2", "secret3"] {
        drop(opened(&bridge, &format!("/?token={token}")));
    }
    assert_eq!(refused(&bridge, "/?token=secret5").0.status, 404);
    assert_eq!(refused(&bridge, "/?token=secret4").0.status, 503);
    bridge.wait_for_line(|line| line.contains("the value does not say where to: "));
    let log = bridge.stderr();
    assert!(
        !log.contains("secret") && !log.contains("nonsense"),
        "{log}"
    );

    let on_three = Server {
        cli: [server.cli.clone(), vec!["-n".into(), "3".into()]].concat(),
        ..server
    };
    on_three.tell(&["SET", "a:b:secret1", &target.to_string()]);
    for source in [
        format!("127.0.0.1:{port}:3::\"a:b\""),
        format!("redis://127.0.0.1:{port}/3?namespace=a:b"),
    ] {
        let bridge = redis(&source);
        drop(opened(&bridge, "/?token=secret1"));
        assert_eq!(refused(&bridge, "/?token=secret2").0.status, 404);
    }
}

#[test]
fn passwords_and_users() {
    let port = free_port();
    let target = backend::echo().to_string();
    let user = ["--user", "jane", "on", ">j:secret", "~*", "-@all", "+get"];
    let server = Server::on(port, &[&["--requirepass", "p:secret"], &user[..]].concat());
    let cli = [
        server.cli.clone(),
        vec!["--no-auth-warning".into(), "-a".into(), "p:secret".into()],
    ];
    let server = Server {
        cli: cli.concat(),
        ..server
    };
    server.tell(&["SET", "secret1", &target]);
    for source in [
        format!("127.0.0.1:{port}:0:\"p:secret\""),
        format!("redis://:p%3Asecret@127.0.0.1:{port}"),
        format!("redis://jane:j%3Asecret@127.0.0.1:{port}"),
    ] {
        drop(opened(&redis(&source), "/?token=secret1"));
    }
    for (source, reason) in [
        (format!("127.0.0.1:{port}"), "NOAUTH"),
        (format!("127.0.0.1:{port}:0:secretive"), "uthentication"),
        (
            format!("redis://jane:secretive@127.0.0.1:{port}"),
            "uthentication",
        ),
    ] {
        unavailable(&redis(&source), reason);
    }
}

#[test]
fn unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.sock");
    let options = [
        "--port",
        "0",
        "--unixsocket",
        text(&path),
        "--requirepass",
        "secret",
    ];
    let cli = ["-s", text(&path), "--no-auth-warning", "-a", "secret"];
    let server = Server::start(&options, &cli);
    server.tell(&["SET", "ns:secret1", &backend::echo().to_string()]);
    let source = format!("unix://:secret@{}?namespace=ns", path.display());
    drop(opened(&redis(&source), "/?token=secret1"));
}

#[test]
fn tls_in_both_directions() {
    let authority = Authority::new();
    let (own, client) = (authority.here(), authority.issue("DNS:bridge"));
    let (port, ca) = (free_port().to_string(), authority.certificate());
    let options = [
        "--port",
        "0",
        "--tls-port",
        &port,
        "--tls-cert-file",
        text(&own.certificate),
        "--tls-key-file",
        text(&own.key),
        "--tls-ca-cert-file",
        text(&ca),
    ];
    let cli = [
        "-p",
        &port,
        "--tls",
        "--cacert",
        text(&ca),
        "--cert",
        text(&client.certificate),
        "--key",
        text(&client.key),
    ];
    let server = Server::start(&options, &cli);
    server.tell(&["SET", "secret1", &backend::echo().to_string()]);
    let url = format!("rediss://localhost:{port}");
    let shown = format!(
        "{url}?ssl_ca_certs={}&ssl_certfile={}&ssl_keyfile={}",
        ca.display(),
        client.certificate.display(),
        client.key.display()
    );
    drop(opened(&redis(&shown), "/?token=secret1"));
    // Without our certificate, and with one of theirs that nobody here knows.
    unavailable(
        &redis(&format!("{url}?ssl_ca_certs={}", ca.display())),
        "TokenRedis",
    );
    unavailable(&redis(&url), "TLS: ");
    let missing = format!("--token-source={url}?ssl_ca_certs=/nowhere");
    let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--token-plugin=TokenRedis", &missing]);
    assert_eq!(bridge.wait().code(), Some(1));
    assert!(
        bridge.stderr().contains("ssl_ca_certs /nowhere"),
        "{}",
        bridge.stderr()
    );
}

/// A bridge outlives its Redis: sessions go on, new ones are put off, and those after the restart
/// are served.
#[test]
fn stopped_and_started_under_load() {
    let port = free_port();
    let target = backend::echo().to_string();
    let start = || {
        let server = Server::on(port, &[]);
        server.tell(&["SET", "secret1", &target]);
        server
    };
    let server = start();
    let bridge = redis(&format!("127.0.0.1:{port}"));
    let mut session = opened(&bridge, "/?token=secret1");
    let load = Load::begin(bridge.addr());
    load.until(101, 20);
    server.kill();
    load.until(503, 20);
    session.expect_echo("still here");
    let server = start();
    load.until(101, 20);
    // One that hangs is taken for dead, and one that hangs no more for new.
    server.process.signal(Signal::STOP);
    load.until(503, 1);
    session.expect_echo("still here");
    server.process.signal(Signal::CONT);
    load.until(101, 20);
    load.end();
    drop(opened(&bridge, "/?token=secret1"));
    assert!(!bridge.stderr().contains("secret"));
}

/// Clients that come and go, and tell of the answers they get.
pub(crate) struct Load {
    answers: Receiver<u16>,
    over: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn begin(addr: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::default());
        let (tell, answers) = channel();
        let client = |_| {
            let (over, tell) = (over.clone(), tell.clone());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut wire = Wire::connect(addr);
                    let status = wire.request(&head("/?token=secret1")).status;
                    if status == 101 {
                        Ws { wire }.expect_echo("hello");
                    }
                    let _ = tell.send(status);
                }
            })
        };
        let clients = (0..4).map(client).collect();
        Self {
            answers,
            over,
            clients,
        }
    }

    /// Returns when so many more were answered so.
    pub(crate) fn until(&self, status: u16, count: usize) {
        let answers = std::iter::from_fn(|| self.answers.recv_timeout(DEADLINE).ok());
        let these = answers.filter(|it| *it == status).take(count).count();
        assert_eq!(these, count, "clients answered {status}");
    }

    pub(crate) fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
    }
}

#[test]
fn what_is_no_source() {
    for source in [
        "",
        ":1:0:secret",
        "h:x:0:secret",
        "h:1:2:secret:n:more",
        "http://u:secret@h",
    ] {
        let source = format!("--token-source={source}");
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--token-plugin=TokenRedis", &source]);
        assert_eq!(bridge.wait().code(), Some(2), "{source}");
        assert!(!bridge.stderr().contains("secret"));
    }
}
