//! Where to: the only place that knows what a target is, resolves its name and connects to it.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod names;
pub mod sources;
pub mod walls;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time;

use crate::handover::any_path;
use crate::inside;
use crate::limits;
use crate::listener::tune;
use crate::stream::{Socket, Stream};
use crate::tls::client::Client;
use names::resolve;
use sources::{Sources, explain, is_of_no_use};
use walls::{Forbidden, Walls};

/// A service that clients reach through us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A host name or address, and a port.
    Tcp {
        /// Without brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// The path of a Unix stream socket.
    Unix(#[serde(with = "any_path")] PathBuf),
    /// A port of loopback, whether it is IPv4's or IPv6's: a wrapped program's.
    Loopback(u16),
    /// One in a directory that no path leads out of: see [`inside`].
    Inside {
        /// The directory, whatever it is when a session begins.
        #[serde(with = "any_path")]
        root: PathBuf,
        /// The socket in it.
        #[serde(with = "any_path")]
        path: PathBuf,
    },
}

impl Target {
    /// Reads `host:port`, `[v6]:port` or, as websockify does, `v6:port`, and `:port` for one of
    /// this machine.
    ///
    /// # Errors
    /// One sentence that quotes the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) =
            split_host_port(text).ok_or_else(|| format!("target '{text}' is not host:port"))?;
        let host = if host.is_empty() { "localhost" } else { host };
        match parse_port(port) {
            Some(0) => Err(format!("target '{text}': port 0 cannot be connected to")),
            Some(port) => Ok(Self::Tcp {
                host: host.to_owned(),
                port,
            }),
            None => Err(format!(
                "target '{text}': '{port}' is not a port from 1 to 65535"
            )),
        }
    }

    /// Connects, trying every address of a name in its resolver's order, the next one beside the
    /// last after a short head start (RFC 8305), sends `announcement` before all else, and speaks
    /// TLS if told so. Returns within [`limits::CONNECT_TIME`].
    ///
    /// # Errors
    /// The last address's error, or the resolver's; or that it may not be reached.
    pub async fn connect(
        &self,
        tls: Option<&Client>,
        walls: &Walls,
        sources: &Sources,
        announcement: Option<Vec<u8>>,
    ) -> Result<Stream, Unreached> {
        let connecting = async {
            let (mut socket, host) = match self {
                Self::Unix(path) => {
                    let within = walls.judge_path(path)?;
                    let inside = within.and_then(|it| Some((it, path.strip_prefix(it).ok()?)));
                    match inside {
                        Some((root, path)) => {
                            (dial_inside(root, Path::new("."), path).await?, None)
                        }
                        None => (dial_unix(path.clone()).await?, None),
                    }
                }
                Self::Inside { root, path } => {
                    let whole = root.join(path);
                    // What is allowed may be less than all of the directory: then no link leads
                    // out of that, either.
                    let narrower = walls.judge_path(&whole)?.and_then(|allowed| {
                        let room = Path::new(".").join(allowed.strip_prefix(root).ok()?);
                        Some((room, whole.strip_prefix(allowed).ok()?))
                    });
                    let (room, path) = narrower.unwrap_or_else(|| (".".into(), path));
                    (dial_inside(root, &room, path).await?, None)
                }
                Self::Loopback(port) => {
                    let hosts: [IpAddr; 2] =
                        [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                    let addresses = hosts.map(|host| SocketAddr::new(host, *port));
                    (dial_tcp(&addresses, sources).await?, Some("localhost"))
                }
                Self::Tcp { host, port } => {
                    let addresses = walls.judge(host, resolve(host, *port).await?)?;
                    (dial_tcp(&addresses, sources).await?, Some(host.as_str()))
                }
            };
            if let Some(bytes) = announcement {
                socket.write_all(&bytes).await?;
            }
            Ok(match tls {
                Some(tls) => tls.connect(socket, host).await?,
                None => Stream::Plain(socket),
            })
        };
        time::timeout(limits::CONNECT_TIME, connecting)
            .await
            .unwrap_or_else(|_| {
                let text = "no answer within the time for connecting";
                Err(io::Error::new(io::ErrorKind::TimedOut, text).into())
            })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// It may not be reached.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It cannot.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(port) => write!(f, "localhost:{port}"),
            Self::Inside { root, path } => write!(f, "unix:{}", root.join(path).display()),
        }
    }
}

/// Splits at the last colon and takes brackets off the host; `None` without a colon.
#[must_use]
pub fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    Some((bare.unwrap_or(host), port))
}

/// A decimal port number; `None` for anything else, also for a number that is too large.
#[must_use]
pub fn parse_port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// The addresses of a host that no resolver is asked for: an address's own, and this machine's for
/// `localhost` and all beneath it (RFC 6761, section 6.3), in the order of getaddrinfo(3).
#[must_use]
pub fn known_addresses(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Some(vec![address]);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let top = name.rsplit('.').next()?;
    top.eq_ignore_ascii_case("localhost")
        .then(|| vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
}

#[expect(
    clippy::disallowed_methods,
    reason = "this file is the one that connects"
)]
async fn dial_unix(path: PathBuf) -> io::Result<Socket> {
    loop {
        match UnixStream::connect(&path).await {
            // So many wait to be accepted that there is no room for one more (connect(2)).
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                time::sleep(limits::CONNECT_RETRY).await;
            }
            connected => return connected.map(Socket::Unix),
        }
    }
}

async fn dial_inside(root: &Path, room: &Path, path: &Path) -> io::Result<Socket> {
    let (root, room, path) = (root.to_owned(), room.to_owned(), path.to_owned());
    let socket = spawn_blocking(move || find_socket(&root, &room, &path)).await??;
    // By its descriptor, so that it is the socket that was found and not what its name is now.
    dial_unix(format!("/proc/self/fd/{}", socket.as_raw_fd()).into()).await
}

/// Finds a socket in `room`, a directory in `root` or that itself; blocks.
///
/// # Errors
/// The kernel's: EXDEV for a way out of either; ENOTSOCK for what is no socket.
pub fn find_socket(root: &Path, room: &Path, path: &Path) -> io::Result<OwnedFd> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, directory, Mode::empty())?;
    let room = inside::open(root.as_fd(), room, directory)?;
    let socket = inside::open(room.as_fd(), path, OFlags::PATH)?;
    match FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode) {
        FileType::Socket => Ok(socket),
        _ => Err(Errno::NOTSOCK.into()),
    }
}

async fn dial_tcp(addresses: &[SocketAddr], sources: &Sources) -> io::Result<Socket> {
    let stream = match addresses {
        [] => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        )),
        [address] => dial(*address, sources.clone()).await,
        several => race(several, sources).await,
    }?;
    Ok(Socket::Tcp(stream))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this file is the one that connects"
)]
async fn dial(mut address: SocketAddr, sources: Sources) -> io::Result<TcpStream> {
    // IPv4 in the form of IPv6 is from an IPv4 address.
    address.set_ip(address.ip().to_canonical());
    let stream = match sources.towards(address.ip())? {
        Some(sources) => dial_from(&sources, address).await,
        None => TcpStream::connect(address)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrNotAvailable => explain(&error, &[]),
                _ => error,
            }),
    }?;
    // On this machine, a port that nobody listens on may be the very one that the kernel chose for
    // our end: then we are connected to ourselves, and the client to an echo.
    let own = stream.local_addr()?;
    if own.port() == address.port() && own == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // Without these the session works, only slower or stale for longer.
    let _ = tune(&stream);
    Ok(stream)
}

/// From the first address that it can be from.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is the one that connects"
)]
async fn dial_from(sources: &[SocketAddr], address: SocketAddr) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for source in sources {
        let socket = match source {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // The port is chosen when the target is known, so each target has all of them (ip(7)).
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        let connected = match socket.bind(*source) {
            Ok(()) => socket.connect(address).await,
            Err(error) => Err(error),
        };
        match connected {
            Err(error) if is_of_no_use(&error) => last = error,
            connected => return connected,
        }
    }
    Err(explain(&last, sources))
}

/// The first address to answer wins; the others are abandoned.
async fn race(addresses: &[SocketAddr], sources: &Sources) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().copied();
    let mut dialling = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(address) = waiting.next() {
            dialling.spawn(dial(address, sources.clone()));
        } else if dialling.is_empty() {
            return Err(last);
        }
        let answer = if waiting.len() == 0 {
            dialling.join_next().await
        } else {
            // Too slow: the next address starts beside it.
            time::timeout(limits::CONNECT_STAGGER, dialling.join_next())
                .await
                .unwrap_or(None)
        };
        match answer {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, known_addresses, parse_port};

    #[test]
    fn no_resolver_is_asked_for_this_machine() {
        for (host, addresses) in [
            ("192.0.2.1", &["192.0.2.1"][..]),
            ("::1", &["::1"]),
            ("localhost", &["::1", "127.0.0.1"]),
            ("LocalHost.", &["::1", "127.0.0.1"]),
            ("vnc.localhost", &["::1", "127.0.0.1"]),
        ] {
            let known = known_addresses(host).unwrap();
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            assert_eq!(known, addresses, "{host}");
        }
        for host in [
            "",
            ".",
            "desk",
            "localhost.example",
            "mylocalhost",
            "localhost..",
        ] {
            assert_eq!(known_addresses(host), None, "{host}");
        }
    }

    #[test]
    fn what_is_a_target_and_how_it_is_shown() {
        for (text, shown) in [
            ("localhost:5900", "localhost:5900"),
            (":5900", "localhost:5900"),
            ("192.0.2.1:1", "192.0.2.1:1"),
            ("[2001:db8::1]:5900", "[2001:db8::1]:5900"),
            ("2001:db8::1:5900", "[2001:db8::1]:5900"),
            ("::1:65535", "[::1]:65535"),
        ] {
            assert_eq!(
                Target::parse(text).map(|it| it.to_string()).as_deref(),
                Ok(shown)
            );
        }
        for text in ["", "localhost", "h:0", "h:65536", "h:", "h:+80", "h: 80"] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn ports_are_decimal_and_in_range() {
        assert_eq!(parse_port("0"), Some(0));
        assert_eq!(parse_port("065"), Some(65));
        for text in ["", "-1", "+1", "0x50", "70000", "8_0", "٣"] {
            assert_eq!(parse_port(text), None, "{text}");
        }
    }
}
