//! Where clients come in: the only place that binds.

mod accepted;
mod own;
mod reserved;

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use crate::config::Listen;
use crate::error::Failure;
use crate::limits;
pub use accepted::{Accepted, Listener, Peer};
pub use own::{Own, is_of_this_machine, is_ours, reached};
pub use reserved::{Reserved, is_listened_on};

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
