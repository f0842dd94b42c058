//! Where clients come in: the only place that binds.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::config::Listen;
use crate::error::Failure;
use crate::limits;
use crate::stream::Socket as Connected;
use crate::target::Target;

/// A socket from before there is a runtime.
#[derive(Debug)]
pub enum Door {
    /// It listens.
    Listening(Socket, Option<Bound>),
    /// It is one client's connection already (inetd nowait).
    Connected(Socket),
}

/// The file of a Unix socket that we bound; removed when this is dropped, unless somebody has put
/// another in its place.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for Bound {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens everything that `listen` asks for.
///
/// # Errors
/// One sentence with the address and the reason.
pub fn open(listen: Listen) -> Result<Vec<Door>, Failure> {
    match listen {
        Listen::Tcp {
            host,
            port,
            prefer_ipv6,
        } => open_tcp(&host, port, prefer_ipv6),
        Listen::Unix { path, mode } => {
            let failed =
                |error| Failure::start(format!("cannot listen on {}: {error}", path.display()));
            bind_unix(&path, mode)
                .map(|door| vec![door])
                .map_err(failed)
        }
        Listen::Inetd => Ok(vec![from_inetd()?]),
        Listen::Inherited(sockets) => Ok(sockets
            .into_iter()
            .map(|inherited| Door::Listening(inherited.socket.into(), None))
            .collect()),
    }
}

/// Whether who connects to `target` would come back to us, listening as `listen` says. Names are
/// looked up only where the ports are the same.
#[must_use]
pub fn is_ours(listen: &Listen, target: &Target) -> bool {
    match (listen, target) {
        (Listen::Unix { path, .. }, Target::Unix(target)) => path == target,
        (Listen::Tcp { host, port, .. }, Target::Tcp { host: to, port: at }) if port == at => {
            let targets = resolve(to, *at).unwrap_or_default();
            let here = resolve(host, *port).unwrap_or_default();
            targets.iter().any(|target| {
                let everywhere = host.is_empty() || here.iter().any(|it| it.ip().is_unspecified());
                let target = reached(*target);
                here.contains(&target) || everywhere && is_of_this_machine(target)
            })
        }
        _ => false,
    }
}

/// Where a listener of ours can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// An address, which may stand for all of this machine's.
    Tcp {
        /// As it was bound.
        address: SocketAddr,
        /// Whether `::` does not stand for IPv4 as well.
        only_v6: bool,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Door {
    /// Where it can be reached, if it listens at a place that has a name.
    #[must_use]
    pub fn own(&self) -> Option<Own> {
        let Self::Listening(socket, _) = self else {
            return None;
        };
        let address = socket.local_addr().ok()?;
        match (address.as_socket(), address.as_pathname()) {
            (Some(address), _) => Some(Own::Tcp {
                address,
                only_v6: address.is_ipv6() && socket.only_v6().unwrap_or(false),
            }),
            (None, Some(path)) => Some(Own::Unix(path.to_owned())),
            (None, None) => None,
        }
    }
}

/// Where connect(2) leads: to IPv4 also by its addresses in IPv6, and to loopback by an address
/// that is none.
#[must_use]
pub fn reached(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    });
    address
}

/// Whether this machine has the address: then a socket can be bound to it. One of a link needs its
/// zone for that.
#[must_use]
pub fn is_of_this_machine(mut address: SocketAddr) -> bool {
    address.set_port(0);
    Socket::new(Domain::for_address(address), Type::DGRAM, None)
        .is_ok_and(|socket| socket.bind(&address.into()).is_ok())
}

/// Options that every relayed TCP socket wants. A listener hands them to what it accepts, so that
/// a new client costs no system call for them.
///
/// # Errors
/// The kernel's, for a socket that is not TCP.
pub fn tune(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(limits::KEEPALIVE_IDLE)
            .with_interval(limits::KEEPALIVE_INTERVAL)
            .with_retries(limits::KEEPALIVE_PROBES),
    )
}

/// A port of loopback that nobody is given while this lives. It is bound and does not listen: by
/// SO_REUSEADDR, which both have to say, a program may bind it beside us and listen (socket(7)).
#[derive(Debug)]
pub struct Reserved {
    port: u16,
    _sockets: Vec<Socket>,
}

impl Reserved {
    /// Chooses a port, other than `not`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(not: u16) -> io::Result<Self> {
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..limits::PORT_TRIES {
            let v4 = bind_beside(LOOPBACK_IPV4, 0)?;
            let address = v4.local_addr()?.as_socket();
            let port = address.map_or(0, |address| address.port());
            if port == not {
                continue;
            }
            let mut sockets = vec![v4];
            match bind_beside(LOOPBACK_IPV6, port) {
                Ok(v6) => sockets.push(v6),
                Err(error) if is_absent(&error) => {}
                Err(error) => {
                    last = error;
                    continue;
                }
            }
            return Ok(Self {
                port,
                _sockets: sockets,
            });
        }
        Err(last)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Whether somebody listens on this port of loopback. Nobody is connected to, who might serve but
/// one client: while nobody listens, the port can be bound beside all others.
#[must_use]
pub fn is_listened_on(port: u16) -> bool {
    let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    [LOOPBACK_IPV4, LOOPBACK_IPV6]
        .into_iter()
        .any(|host| bind_beside(host, port).is_err_and(|error| taken(&error)))
}

const LOOPBACK_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Binds a port that others may bind as well, as long as nobody listens. Where any port will do,
/// it is one that nobody has.
fn bind_beside(host: IpAddr, port: u16) -> io::Result<Socket> {
    let address = SocketAddr::new(host, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if port == 0 {
        socket.bind(&address.into())?;
        socket.set_reuse_address(true)?;
    } else {
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
    }
    Ok(socket)
}

fn open_tcp(host: &str, port: u16, prefer_ipv6: bool) -> Result<Vec<Door>, Failure> {
    let cannot = |what: &dyn fmt::Display, error: &io::Error| {
        Failure::start(format!("cannot listen on {what}: {error}"))
    };
    if host.is_empty() {
        let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, port).into();
        let door = match bind_tcp(any, false) {
            Err(error) if is_absent(&error) => bind_tcp(([0, 0, 0, 0], port).into(), true),
            bound => bound,
        };
        return door
            .map(|door| vec![door])
            .map_err(|error| cannot(&format!("port {port}"), &error));
    }
    let mut addresses = resolve(host, port)?;
    if prefer_ipv6 && addresses.iter().any(SocketAddr::is_ipv6) {
        addresses.retain(SocketAddr::is_ipv6);
    }
    let several = addresses.len() > 1;
    let (mut doors, mut absent) = (Vec::new(), None);
    for address in addresses {
        match bind_tcp(address, true) {
            Ok(door) => doors.push(door),
            // `localhost` names ::1 on machines without IPv6 as well.
            Err(error) if several && is_absent(&error) => absent = Some(cannot(&address, &error)),
            Err(error) => return Err(cannot(&address, &error)),
        }
    }
    match (doors.is_empty(), absent) {
        (true, Some(failure)) => Err(failure),
        _ => Ok(doors),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "at start, before anybody waits for the resolver"
)]
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let mut found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| Failure::start(format!("cannot resolve '{host}': {error}")))?
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether this machine lacks the address or its whole family.
fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|it| [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&it))
}

fn bind_tcp(address: SocketAddr, only_v6: bool) -> io::Result<Door> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // A restart must not wait for the last sessions' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(Door::Listening(socket, None))
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<Door> {
    let address = SockAddr::unix(path)?;
    let new = || Socket::new(Domain::UNIX, Type::STREAM, None);
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::other("something that is not a socket is there"));
        }
        if !is_stale(&new()?, &address)? {
            return Err(io::Error::other("another program listens there"));
        }
        fs::remove_file(path)?;
    }
    let socket = new()?;
    socket.bind(&address)?;
    let found = fs::symlink_metadata(path)?;
    let bound = Bound {
        path: path.to_owned(),
        identity: (found.dev(), found.ino()),
    };
    // Nobody can connect before listen(2), so the permissions are never wider than asked for.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(limits::BACKLOG)?;
    Ok(Door::Listening(socket, Some(bound)))
}

/// Whether nobody listens at `address`. The kernel refuses a stream where there is none; any other
/// answer comes from a living socket: of another kind, or with a full queue, for which a blocking
/// connect would wait.
fn is_stale(probe: &Socket, address: &SockAddr) -> io::Result<bool> {
    use rustix::io::Errno;
    probe.set_nonblocking(true)?;
    let Err(error) = probe.connect(address) else {
        return Ok(false);
    };
    match Errno::from_io_error(&error) {
        Some(Errno::CONNREFUSED) => Ok(true),
        Some(Errno::PROTOTYPE | Errno::AGAIN | Errno::INPROGRESS) => Ok(false),
        // Not permitted to ask, for one: whose it is we cannot know.
        _ => Err(error),
    }
}

fn from_inetd() -> Result<Door, Failure> {
    // A copy that children do not inherit; the original stays where standard input belongs.
    let input: OwnedFd = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Failure::start(format!("--inetd: standard input: {error}")))?;
    let socket = Socket::from(input);
    let domain = socket
        .domain()
        .ok()
        .filter(|_| socket.r#type().is_ok_and(|it| it == Type::STREAM));
    match domain {
        Some(Domain::IPV4 | Domain::IPV6 | Domain::UNIX) => {}
        _ => {
            return Err(Failure::start(
                "--inetd: standard input is not a TCP or Unix stream socket",
            ));
        }
    }
    Ok(if socket.is_listener().unwrap_or(false) {
        Door::Listening(socket, None)
    } else {
        Door::Connected(socket)
    })
}

/// A listening socket in the runtime.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    _bound: Option<Bound>,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A client's connection, before a byte of it was read.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub socket: Connected,
    /// Who is at its other end.
    pub peer: Peer,
}

/// Who is at the other end of an accepted socket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Peer {
    /// An address; IPv4 in its own form, also on a dual-stack socket.
    Tcp(SocketAddr),
    /// An address that a trusted proxy gave without a port.
    Forwarded(IpAddr),
    /// A process of this machine: its user and, where the kernel knows it, its id.
    Unix {
        /// The effective user id at connect(2).
        uid: Option<u32>,
        /// The process id.
        pid: Option<i32>,
    },
}

impl Peer {
    /// The address that limits count; `None` for Unix sockets.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.address().map(|address| address.ip())
    }

    /// Address and port, 0 for one that is not known; `None` for Unix sockets.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Forwarded(address) => Some(SocketAddr::new(*address, 0)),
            Self::Unix { .. } => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Forwarded(IpAddr::V4(address)) => address.fmt(f),
            Self::Forwarded(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Unix {
                uid: Some(uid),
                pid: Some(pid),
            } => write!(f, "unix:uid={uid},pid={pid}"),
            Self::Unix {
                uid: Some(uid),
                pid: None,
            } => write!(f, "unix:uid={uid}"),
            Self::Unix { .. } => f.write_str("unix"),
        }
    }
}

impl Listener {
    /// Takes a listening socket into the runtime that runs this.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(socket: Socket, bound: Option<Bound>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = if socket.domain()? == Domain::UNIX {
            Listening::Unix(UnixListener::from_std(socket.into())?)
        } else {
            tune(&socket)?;
            socket.set_tcp_user_timeout(Some(limits::ANSWER_UNREAD_TIME))?;
            Listening::Tcp(TcpListener::from_std(socket.into())?)
        };
        Ok(Self {
            socket,
            _bound: bound,
        })
    }

    /// Waits for the next client. Safe to drop between clients.
    ///
    /// # Errors
    /// accept(2)'s: none of them means that the listener is of no use any more.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Listening::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted {
                    socket: Connected::Tcp(stream),
                    peer: tcp_peer(address),
                })
            }
            Listening::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = unix_peer(&stream);
                Ok(Accepted {
                    socket: Connected::Unix(stream),
                    peer,
                })
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Listening::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => write!(f, "? ({error})"),
            },
            Listening::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                write!(f, "unix:{}", path.unwrap_or(Path::new("?")).display())
            }
        }
    }
}

impl Accepted {
    /// Takes a connected socket into the runtime that runs this (inetd nowait).
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        if socket.domain()? == Domain::UNIX {
            let stream = tokio::net::UnixStream::from_std(socket.into())?;
            let peer = unix_peer(&stream);
            return Ok(Self {
                socket: Connected::Unix(stream),
                peer,
            });
        }
        tune(&socket)?;
        socket.set_tcp_user_timeout(Some(limits::ANSWER_UNREAD_TIME))?;
        let stream = tokio::net::TcpStream::from_std(socket.into())?;
        let peer = tcp_peer(stream.peer_addr()?);
        Ok(Self {
            socket: Connected::Tcp(stream),
            peer,
        })
    }
}

fn tcp_peer(address: SocketAddr) -> Peer {
    Peer::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn unix_peer(stream: &tokio::net::UnixStream) -> Peer {
    let credentials = stream.peer_cred().ok();
    Peer::Unix {
        uid: credentials.map(|it| it.uid()),
        pid: credentials.and_then(|it| it.pid()),
    }
}
