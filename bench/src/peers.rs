//! Who is measured, and how each is started.

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use openssl::ssl::SslVersion;

use crate::client::{Connection, Way};
use crate::pattern::LONGEST;
use crate::place::Place;
use crate::process::Process;
use crate::target::Target;

const START_TIME: Duration = Duration::from_secs(20);

const START_TRIES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Here,
    Python,
    Websocat,
    Node,
    HaProxy,
    SocketProxy,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Here,
        Self::Python,
        Self::Websocat,
        Self::Node,
        Self::HaProxy,
        Self::SocketProxy,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Python => "Python websockify",
            Self::Websocat => "websocat",
            Self::Node => "Node ws",
            Self::HaProxy => "HAProxy",
            Self::SocketProxy => "socket-proxyd",
        }
    }

    /// The others relay bytes as they are.
    pub(crate) fn speaks_websocket(self) -> bool {
        !matches!(self, Self::HaProxy | Self::SocketProxy)
    }

    pub(crate) fn speaks_tls(self) -> bool {
        self != Self::SocketProxy
    }

    /// The one that it speaks by itself.
    fn tls_version(self) -> SslVersion {
        match self {
            Self::Websocat => SslVersion::TLS1_2,
            _ => SslVersion::TLS1_3,
        }
    }

    /// How many idle sessions are held at the most.
    pub(crate) fn most_sessions(self) -> usize {
        match self {
            // A process for each session soon fills the memory.
            Self::Python => 100,
            // Its pipes take six descriptors for each.
            Self::SocketProxy => 1000,
            _ => 4000,
        }
    }

    /// Prints the version, where the peer is installed.
    pub(crate) fn version(self, place: &Place) -> Command {
        let mut command = Command::new(place.program(self));
        match self {
            Self::Here | Self::Websocat | Self::SocketProxy => command.arg("--version"),
            Self::Python => command.arg("-c").arg(
                "import sys, websockify, numpy; from importlib.metadata import version\n\
                 print(version('websockify'), 'with numpy', numpy.__version__, \
                 'on Python', sys.version.split()[0])",
            ),
            Self::Node => command
                .env("NODE_PATH", place.node_modules())
                .arg("-p")
                .arg("require('ws/package.json').version + ' on Node ' + process.version"),
            Self::HaProxy => command.arg("-v"),
        };
        command
    }

    /// Listens at `port` of the loopback and relays to `target` there.
    fn command(self, place: &Place, tls: bool, port: u16, target: u16) -> io::Result<Command> {
        let (from, to) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{target}"));
        let mut command = Command::new(place.program(self));
        match self {
            Self::Here => {
                // Its options, but for the sandbox, are those of the line below.
                for (name, _) in env::vars_os() {
                    let name = name.to_string_lossy().into_owned();
                    if name.starts_with("WEBSOCKIFY_") && name != "WEBSOCKIFY_SANDBOX" {
                        command.env_remove(name);
                    }
                }
                if env::var_os("WEBSOCKIFY_SANDBOX").is_none() {
                    command.arg("--sandbox=enforce");
                }
                if tls {
                    inside_tls(&mut command, place);
                }
                command.args([from, to]);
            }
            Self::Python => {
                command.args(["-m", "websockify"]);
                if tls {
                    inside_tls(&mut command, place);
                }
                command.args([from, to]);
            }
            Self::Websocat => {
                command.args(["--binary", "--exit-on-eof", "--buffer-size", "65536"]);
                if tls {
                    command.arg("--pkcs12-der").arg(place.pkcs12());
                    command.arg("--pkcs12-passwd").arg(Place::PASSWORD);
                }
                let scheme = if tls { "wss-l" } else { "ws-l" };
                command.args([format!("{scheme}:{from}"), format!("tcp:{to}")]);
            }
            Self::Node => {
                command.env("NODE_PATH", place.node_modules());
                command.arg(place.node_bridge());
                command.args([port.to_string(), target.to_string()]);
                if tls {
                    command.arg(place.certificate()).arg(place.key());
                }
            }
            Self::HaProxy => {
                let tls = match tls {
                    true => format!("ssl crt {}", place.certificate_and_key().display()),
                    false => String::new(),
                };
                let path = place.folder().join(format!("haproxy-{port}.cfg"));
                fs::write(
                    &path,
                    format!(
                        "global\n maxconn 4500\n\
                         defaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n \
                         timeout server 1h\n\
                         listen bench\n bind {from} {tls}\n server target {to}\n"
                    ),
                )?;
                command.arg("-db").arg("-f").arg(path);
            }
            Self::SocketProxy => {
                command = Command::new("systemd-socket-activate");
                command.arg("--listen").arg(from);
                command
                    .arg(place.program(self))
                    .arg("--connections-max=5000");
                command.arg(to);
            }
        }
        Ok(command)
    }
}

/// A peer at work, and the target behind it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) process: Process,
    way: Way,
    /// From its start until it was ready: seconds by the clock, and of the processor.
    pub(crate) started: (f64, f64),
    _target: Target,
}

impl Peer {
    /// Starts it, and returns when it is ready.
    pub(crate) fn start(kind: Kind, place: &Place, tls: bool) -> io::Result<Self> {
        // Somebody else may take the free port first.
        let mut peer = Self::try_start(kind, place, tls);
        for _ in 1..START_TRIES {
            if peer.is_err() {
                peer = Self::try_start(kind, place, tls);
            }
        }
        peer
    }

    fn try_start(kind: Kind, place: &Place, tls: bool) -> io::Result<Self> {
        let target = Target::start()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let way = Way {
            port,
            tls: tls.then_some(kind.tls_version()),
            websocket: kind.speaks_websocket(),
        };
        let output = place.folder().join("output");
        let mut command = kind.command(place, tls, port, target.port)?;
        let manager = match kind {
            Kind::Here => Some(manager(&place.folder().join("notify"), &mut command)?),
            _ => None,
        };
        let begun = Instant::now();
        let process = Process::start(&mut command, File::create(&output)?)?;
        loop {
            let ready = match &manager {
                Some(manager) => says_ready(manager)?,
                None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(),
            };
            if ready {
                break;
            }
            if !process.runs() || begun.elapsed() > START_TIME {
                let output = fs::read_to_string(&output).unwrap_or_default();
                return Err(io::Error::other(format!("it does not start: {output}")));
            }
            if manager.is_none() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(Self {
            started: (begun.elapsed().as_secs_f64(), process.processor()),
            process,
            way,
            _target: target,
        })
    }

    pub(crate) fn open(&self) -> io::Result<Connection> {
        Connection::open(self.way, LONGEST)
    }

    /// A connection that costs us little, for one of thousands.
    pub(crate) fn open_small(&self) -> io::Result<Connection> {
        Connection::open(self.way, 4096)
    }
}

/// The socket of a service manager for `command`, which waits a short while for a message.
fn manager(path: &Path, command: &mut Command) -> io::Result<UnixDatagram> {
    let _ = fs::remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    command.env("NOTIFY_SOCKET", path);
    Ok(socket)
}

fn says_ready(manager: &UnixDatagram) -> io::Result<bool> {
    let mut message = [0; 4096];
    match manager.recv(&mut message) {
        Ok(n) => Ok(message[..n]
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// websockify's options for that, which ours has as well.
fn inside_tls(command: &mut Command, place: &Place) {
    command.arg("--ssl-only");
    command.arg("--cert").arg(place.certificate());
    command.arg("--key").arg(place.key());
}
