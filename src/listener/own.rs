//! Where our listeners are reached, so that nobody is bridged back to us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use socket2::{Domain, Socket, Type};

use super::{Door, resolve};
use crate::config::Listen;
use crate::target::Target;

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
