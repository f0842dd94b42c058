//! Clients that come in, and who they are.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket};
use tokio::net::{TcpListener, UnixListener};

use super::{Bound, tune};
use crate::limits;
use crate::stream::Socket as Connected;

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
