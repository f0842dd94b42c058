//! Reverse proxies that may say who their clients are (--trusted-proxy): in headers of each
//! request, or once, before the connection's first byte (--accept-proxy-protocol).
//!
//! Whoever is not trusted is served as itself, whatever it says. The standard forbids to guess
//! whether a PROXY header is there, so it must come from those who are trusted, and is never looked
//! for in what others send.

mod forwarded;
mod trusted;

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper::StatusCode;
use hyper::header::{FORWARDED, HeaderMap, HeaderName};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

pub use trusted::Trusted;

use crate::limits;
use crate::listener::Peer;
use crate::log::Throttle;
use crate::proxy_protocol::{self, Malformed, Says};
use crate::refusal::Refusal;
use crate::stream::Socket;
use forwarded::{Node, elements};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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
    complained: Throttle,
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
            complained: Throttle::default(),
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
                if let Some(more) = self.complained.pass() {
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
        self.named(headers)
            .map(|named| Client {
                peer: named.peer.unwrap_or(direct.peer),
                tls: named.tls.or(direct.tls),
            })
            .map_err(|fault| {
                if let Some(more) = self.complained.pass() {
                    let peer = caller.peer;
                    log::warn!("refused a request by the proxy client={peer}: {fault}{more}");
                }
                Refusal::new(StatusCode::BAD_REQUEST, fault)
            })
    }

    fn named(&self, headers: &HeaderMap) -> Result<Named, &'static str> {
        let mut standard = Vec::new();
        for line in headers.get_all(FORWARDED) {
            let line = line.to_str().ok().and_then(elements);
            standard.extend(line.ok_or("The Forwarded header is malformed")?);
        }
        let older: Vec<&[u8]> = items(headers, &X_FORWARDED_FOR).collect();
        let by_standard = if standard.iter().any(|element| element.node.is_some()) {
            // Who is left out is as good as hidden.
            let nodes = standard
                .iter()
                .rev()
                .map(|it| Some(it.node.unwrap_or(Node::Hidden)));
            Some(
                self.walk(nodes)
                    .ok_or("The Forwarded header is malformed")?,
            )
        } else {
            None
        };
        let by_older = if older.is_empty() {
            None
        } else {
            let text = |item| std::str::from_utf8(item).ok();
            let nodes = older.iter().rev().map(|item| Node::loose(text(item)?));
            Some(
                self.walk(nodes)
                    .ok_or("The X-Forwarded-For header is malformed")?,
            )
        };
        let peer = match (by_standard, by_older) {
            (Some(one), Some(other)) if address(one) != address(other) => {
                return Err("Forwarded and X-Forwarded-For name different clients");
            }
            (one, other) => one.or(other).flatten(),
        };
        let schemes = standard.iter().filter_map(|it| it.scheme.as_deref());
        let schemes = schemes
            .map(str::as_bytes)
            .chain(items(headers, &X_FORWARDED_PROTO));
        // Each step has to be inside TLS.
        let tls = schemes.map(is_secure).reduce(|one, other| one && other);
        Ok(Named {
            peer: peer.and_then(Node::peer),
            tls,
        })
    }

    /// Goes from proxy to proxy, away from us, to the first that is not trusted: beyond it,
    /// everything may be invented. `None` where somebody trusted wrote what is no address; the last
    /// before one that is hidden stands for it.
    #[expect(clippy::option_option, reason = "malformed and nobody are two things")]
    fn walk(&self, nodes: impl Iterator<Item = Option<Node>>) -> Option<Option<Node>> {
        let mut last = None;
        for node in nodes {
            match node? {
                Node::Hidden => break,
                node @ Node::Address(ip, _) => {
                    last = Some(node);
                    if !self.options.trusted.has_address(ip) {
                        break;
                    }
                }
            }
        }
        Some(last)
    }
}

/// What headers say.
struct Named {
    peer: Option<Peer>,
    tls: Option<bool>,
}

fn address(node: Option<Node>) -> Option<IpAddr> {
    match node {
        Some(Node::Address(ip, _)) => Some(ip),
        Some(Node::Hidden) | None => None,
    }
}

/// As a WebSocket's proxies say it, too.
fn is_secure(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"https") || scheme.eq_ignore_ascii_case(b"wss")
}

/// The items of a comma-separated header, over all of its lines, empty ones left out.
fn items<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    let lines = headers.get_all(name).into_iter();
    let items = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    items
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
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
