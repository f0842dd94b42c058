//! Whose request it is, by the headers that proxies write.

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap, HeaderName};

use super::Trusted;
use super::forwarded::{Element, Node, elements};
use crate::listener::Peer;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the headers of a request say.
#[derive(Debug)]
pub(super) struct Named {
    /// The client, if there is anything about it but that it is hidden.
    pub(super) peer: Option<Peer>,
    /// Whether it speaks TLS to its proxy, if that is said.
    pub(super) tls: Option<bool>,
}

/// Reads them all.
///
/// # Errors
/// What cannot be read, or contradicts itself, in a sentence.
pub(super) fn named(trusted: &Trusted, headers: &HeaderMap) -> Result<Named, &'static str> {
    let standard = standard(headers)?;
    let older: Vec<&[u8]> = items(headers, &X_FORWARDED_FOR).collect();
    let by_standard = by_standard(trusted, &standard)?;
    let by_older = by_older(trusted, &older)?;
    let both = by_standard.as_ref().zip(by_older.as_ref());
    if both.is_some_and(|(one, other)| one.address() != other.address()) {
        return Err("Forwarded and X-Forwarded-For name different clients");
    }
    let scheme_of = |element: &Element| element.scheme.as_deref().map(is_secure);
    let by_standards_scheme = match &by_standard {
        // What this client's own proxy saw; the next may not use TLS among themselves.
        Some(found) => standard.iter().rev().nth(found.steps).and_then(scheme_of),
        None => all(standard.iter().filter_map(scheme_of)),
    };
    let by_older_scheme = all(items(headers, &X_FORWARDED_PROTO).map(is_secure));
    let client = by_standard.or(by_older).and_then(|found| found.last);
    Ok(Named {
        peer: client.and_then(Node::peer),
        tls: all(by_standards_scheme.into_iter().chain(by_older_scheme)),
    })
}

/// Where a walk has ended.
#[derive(Debug)]
struct Found {
    /// The last that is known.
    last: Option<Node>,
    /// The element that says so, or hides the next: how many are behind it.
    steps: usize,
}

impl Found {
    fn address(&self) -> Option<IpAddr> {
        match self.last {
            Some(Node::Address(ip, _)) => Some(ip),
            Some(Node::Hidden) | None => None,
        }
    }
}

fn standard(headers: &HeaderMap) -> Result<Vec<Element>, &'static str> {
    let mut all = Vec::new();
    for line in headers.get_all(FORWARDED) {
        let line = line.to_str().ok().and_then(elements);
        all.extend(line.ok_or("The Forwarded header is malformed")?);
    }
    Ok(all)
}

fn by_standard(trusted: &Trusted, all: &[Element]) -> Result<Option<Found>, &'static str> {
    if all.iter().all(|element| element.node.is_none()) {
        return Ok(None);
    }
    // Who is left out is as good as hidden.
    let nodes = all
        .iter()
        .rev()
        .map(|it| Ok(it.node.unwrap_or(Node::Hidden)));
    walk(trusted, nodes).map(Some)
}

fn by_older(trusted: &Trusted, all: &[&[u8]]) -> Result<Option<Found>, &'static str> {
    if all.is_empty() {
        return Ok(None);
    }
    let node = |item| std::str::from_utf8(item).ok().and_then(Node::loose);
    let nodes = all.iter().rev();
    let nodes = nodes.map(|item| node(item).ok_or("The X-Forwarded-For header is malformed"));
    walk(trusted, nodes).map(Some)
}

/// Goes from proxy to proxy, away from us, to the first that is not trusted: beyond it, everything
/// may be invented. Where somebody trusted hides who is next, the one before stands for it.
fn walk(
    trusted: &Trusted,
    nodes: impl Iterator<Item = Result<Node, &'static str>>,
) -> Result<Found, &'static str> {
    let mut found = Found {
        last: None,
        steps: 0,
    };
    for (steps, node) in nodes.enumerate() {
        found.steps = steps;
        match node? {
            Node::Hidden => break,
            node @ Node::Address(ip, _) => {
                found.last = Some(node);
                if !trusted.has_address(ip) {
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// Whether all of them are so, if there are any.
fn all(mut them: impl Iterator<Item = bool>) -> Option<bool> {
    let first = them.next()?;
    Some(them.fold(first, |all, one| all && one))
}

/// As the proxies of WebSockets say it, too.
fn is_secure(scheme: impl AsRef<[u8]>) -> bool {
    let scheme = scheme.as_ref();
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
