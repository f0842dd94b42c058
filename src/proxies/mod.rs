//! Reverse proxies that may say who their clients are (--trusted-proxy): in headers of each
//! request, or once, before the connection's first byte (--accept-proxy-protocol).
//!
//! Whoever is not trusted is served as itself, whatever it says. The standard forbids to guess
//! whether a PROXY header is there, so it must come from those who are trusted, and is never looked
//! for in what others send.

mod forwarded;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod headers;
mod trusted;

use std::io;
use std::net::SocketAddr;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

pub use trusted::Trusted;

use crate::limits;
use crate::listener::Peer;
use crate::log::Throttle;
use crate::proxy_protocol::{self, Malformed, Says};
use crate::refusal::Refusal;
use crate::stream::Socket;

/// What the options say about proxies.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// See [`crate::cli::Options::trusted_proxy`].
    pub trusted: Trusted,
    /// See [`crate::cli::Options::accept_proxy_protocol`].
    pub accept_header: bool,
}

/// The proxies of this server.
#[derive(Debug, Default)]
pub struct Proxies {
    options: Options,
    turned_away: Throttle,
    refused: Throttle,
}

/// Who is at the other end of a connection, before it has asked for anything.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Its address, or the one that a PROXY header gave.
    pub peer: Peer,
    /// The address that it connected to, where a PROXY header says so.
    pub to: Option<SocketAddr>,
    /// Whether it speaks TLS to its proxy, where a PROXY header says so.
    tls: Option<bool>,
    /// Whether its requests may name others.
    pub trusted: bool,
}

/// Who a request is from.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The client.
    pub peer: Peer,
    /// Whether it speaks TLS to its proxy, where a proxy says so.
    pub tls: Option<bool>,
}

impl Proxies {
    /// Warns of options that trust everybody.
    #[must_use]
    pub fn new(options: Options) -> Self {
        if options.trusted.is_everybody() {
            log::warn!("--trusted-proxy names every address: each client can pass for any other");
        }
        Self {
            options,
            turned_away: Throttle::default(),
            refused: Throttle::default(),
        }
    }

    /// Whether `peer` may speak for others.
    #[must_use]
    pub fn trusts(&self, peer: &Peer) -> bool {
        self.options.trusted.has(peer)
    }

    /// Finds out who a connection is from. A trusted proxy says it before all else, if it is asked
    /// to; no byte behind that is read. `None` when it said something else, or nothing in
    /// [`limits::PROXY_HEADER_TIME`]; that is logged now and then.
    pub async fn caller(&self, socket: &mut Socket, peer: Peer) -> Option<Caller> {
        let trusted = self.trusts(&peer);
        let direct = Caller {
            peer,
            to: None,
            tls: None,
            trusted,
        };
        if !(trusted && self.options.accept_header) {
            return Some(direct);
        }
        let read = timeout(limits::PROXY_HEADER_TIME, read_header(socket)).await;
        match read.unwrap_or_else(|_| Err(io::Error::other("no PROXY header in time"))) {
            Ok(Some(Says::Client { from, to, tls })) => {
                let peer = Peer::Tcp(from);
                Some(Caller {
                    peer,
                    to: Some(to),
                    tls: tls.then_some(true),
                    trusted: self.trusts(&peer),
                })
            }
            // Who this is nobody knows, so what it writes about others cannot be the proxy's.
            Ok(Some(Says::Nobody)) => Some(Caller {
                trusted: false,
                ..direct
            }),
            // A load balancer's way to see that we live.
            Ok(None) => None,
            Err(error) => {
                if let Some(more) = self.turned_away.pass() {
                    log::warn!("turned away client={peer}: {error}{more}");
                }
                None
            }
        }
    }

    /// Finds out who a request is from: the last in the list of its proxies that is not trusted
    /// itself.
    ///
    /// # Errors
    /// The answer where trusted proxies contradict each other or write what cannot be read: a
    /// client whose own words they pass on must not be able to hide by that.
    pub fn client(&self, caller: &Caller, headers: &HeaderMap) -> Result<Client, Refusal> {
        let direct = Client {
            peer: caller.peer,
            tls: caller.tls,
        };
        if !caller.trusted {
            return Ok(direct);
        }
        headers::named(&self.options.trusted, headers)
            .map(|named| Client {
                peer: named.peer.unwrap_or(direct.peer),
                tls: named.tls.or(direct.tls),
            })
            .map_err(|fault| {
                if let Some(more) = self.refused.pass() {
                    let peer = caller.peer;
                    log::warn!("refused a request by the proxy client={peer}: {fault}{more}");
                }
                Refusal::new(StatusCode::BAD_REQUEST, fault)
            })
    }
}

/// Takes a PROXY header off a connection, and not a byte more. `None` when the connection ends
/// without any.
async fn read_header(socket: &mut Socket) -> io::Result<Option<Says>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 256];
    loop {
        let waiting = socket.peek(&mut chunk).await?;
        let begun = bytes.len();
        let new = chunk.get(..waiting).unwrap_or_default();
        if new.is_empty() {
            return match begun {
                0 => Ok(None),
                _ => Err(io::Error::other("its PROXY header does not end")),
            };
        }
        bytes.extend_from_slice(new);
        let header = proxy_protocol::read(&bytes);
        let header = header.map_err(|error: Malformed| io::Error::other(error))?;
        // Where more is to come, all of it is the header's.
        let end = header.map_or(bytes.len(), |header| header.length);
        bytes.truncate(end);
        // They are there: this waits for nothing.
        let own = chunk.get_mut(..end - begun).unwrap_or_default();
        socket.read_exact(own).await?;
        if let Some(header) = header {
            return Ok(Some(header.says));
        }
    }
}

#[cfg(test)]
mod tests;
