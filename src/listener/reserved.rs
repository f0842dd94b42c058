//! Ports of loopback that wrapped programs are moved to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use super::is_absent;
use crate::limits;

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
