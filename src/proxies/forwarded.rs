//! What proxies write of the clients and proxies before them: `Forwarded` (RFC 7239) and the
//! headers that were there before it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits;
use crate::listener::Peer;

/// What a proxy says of the one who asked it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Who it was, if that is said at all.
    pub(super) node: Option<Node>,
    /// The scheme that it used.
    pub(super) scheme: Option<String>,
}

/// Somebody on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Address(IpAddr, Option<u16>),
    /// `unknown`, or a name that says nothing to others (RFC 7239, 6.3).
    Hidden,
}

impl Node {
    /// Reads an element of `X-Forwarded-For`, which has no standard: some proxies add a port, and
    /// some brackets.
    pub(super) fn loose(text: &str) -> Option<Self> {
        let address = || match text.parse::<Ipv6Addr>() {
            Ok(bare) => Some(Self::address(bare.into(), None)),
            Err(_) => None,
        };
        address().or_else(|| Self::strict(text))
    }

    /// Reads a `for=` (RFC 7239, 6).
    fn strict(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, rest) = rest.split_once(']')?;
                let address: Ipv6Addr = inside.parse().ok()?;
                let port = match rest {
                    "" => None,
                    _ => Some(rest.strip_prefix(':')?),
                };
                return Some(Self::address(address.into(), known_port(port)?));
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let port = known_port(port)?;
        if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
            return Some(Self::Hidden);
        }
        let address: Ipv4Addr = name.parse().ok()?;
        Some(Self::address(address.into(), port))
    }

    fn address(ip: IpAddr, port: Option<u16>) -> Self {
        Self::Address(ip.to_canonical(), port)
    }

    /// The peer that it would be if it had come by itself.
    pub(super) fn peer(self) -> Option<Peer> {
        match self {
            Self::Address(ip, Some(port)) => Some(Peer::Tcp(SocketAddr::new(ip, port))),
            Self::Address(ip, None) => Some(Peer::Forwarded(ip)),
            Self::Hidden => None,
        }
    }
}

/// The port, if there is one that says something; `None` if it is malformed.
#[expect(clippy::option_option, reason = "absent and malformed are two things")]
fn known_port(text: Option<&str>) -> Option<Option<u16>> {
    match text {
        None => Some(None),
        Some(text) if is_obfuscated(text) => Some(None),
        Some(text) => {
            let digits =
                (1..=5).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
            digits.then(|| text.parse().ok().map(Some))?
        }
    }
}

fn is_obfuscated(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.strip_prefix('_')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(inside))
}

/// Reads one `Forwarded` line (RFC 7239, 4); `None` if it is malformed. Whitespace around a
/// semicolon is not in the grammar, but proxies write it.
pub(super) fn elements(line: &str) -> Option<Vec<Element>> {
    let mut rest = line;
    let mut elements = Vec::new();
    loop {
        let (element, behind) = element(rest)?;
        // Elements of a list may be empty (RFC 9110, 5.6.1).
        elements.extend(element);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Some(elements),
            None => return None,
        }
    }
}

/// One element, if there is anything in it, and what is behind it: nothing or a comma.
fn element(text: &str) -> Option<(Option<Element>, &str)> {
    let mut element = Element::default();
    let mut seen: Vec<String> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(next) = rest.strip_prefix(';') {
            rest = next;
            continue;
        }
        if rest.is_empty() || rest.starts_with(',') {
            return Some(((!seen.is_empty()).then_some(element), rest));
        }
        let (name, behind) = token(rest)?;
        let (value, behind) = value(behind.strip_prefix('=')?)?;
        let name = name.to_ascii_lowercase();
        if seen.contains(&name) || seen.len() == limits::FORWARDED_PAIRS {
            return None;
        }
        match name.as_str() {
            "for" => element.node = Some(Node::strict(&value)?),
            "proto" => element.scheme = Some(value),
            _ => {}
        }
        seen.push(name);
        rest = behind.trim_start_matches([' ', '\t']);
        if !(rest.is_empty() || rest.starts_with([';', ','])) {
            return None;
        }
    }
}

/// A token (RFC 9110, 5.6.2) and what is behind it.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = text
        .bytes()
        .position(|byte| !is_in(byte))
        .unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(token, _)| !token.is_empty())
}

/// A token or a quoted string, and what is behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = token(text)?;
        return Some((token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Element, Node, elements};

    fn node(text: &str, port: Option<u16>) -> Option<Node> {
        Some(Node::Address(text.parse().unwrap(), port))
    }

    fn nodes(line: &str) -> Option<Vec<Option<Node>>> {
        Some(elements(line)?.into_iter().map(|it| it.node).collect())
    }

    #[test]
    fn the_standards_own_examples() {
        for (line, expected) in [
            ("for=\"_gazonk\"", vec![Some(Node::Hidden)]),
            (
                "For=\"[2001:db8:cafe::17]:4711\"",
                vec![node("2001:db8:cafe::17", Some(4711))],
            ),
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                vec![node("192.0.2.60", None)],
            ),
            (
                "for=192.0.2.43, for=198.51.100.17",
                vec![node("192.0.2.43", None), node("198.51.100.17", None)],
            ),
            ("for=_hidden, for=_SEVKISEK", vec![Some(Node::Hidden); 2]),
            (
                "for=192.0.2.43, for=\"[2001:db8:cafe::17]\"",
                vec![node("192.0.2.43", None), node("2001:db8:cafe::17", None)],
            ),
            (
                "for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown",
                vec![
                    node("192.0.2.43", None),
                    node("2001:db8:cafe::17", None),
                    Some(Node::Hidden),
                ],
            ),
        ] {
            assert_eq!(nodes(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_rest_of_the_grammar() {
        for (line, expected) in [
            ("", vec![]),
            (" , ,", vec![]),
            ("proto=https", vec![None]),
            (";;for=192.0.2.1;", vec![node("192.0.2.1", None)]),
            (
                "for=192.0.2.1 ; proto=https ,\tby=_x",
                vec![node("192.0.2.1", None), None],
            ),
            ("for=\"192.0.2.1:80\"", vec![node("192.0.2.1", Some(80))]),
            ("for=\"192.0.2.1:_p-1.x\"", vec![node("192.0.2.1", None)]),
            ("for=\"unknown:1\"", vec![Some(Node::Hidden)]),
            ("for=\"192\\.0.2.1\"", vec![node("192.0.2.1", None)]),
            ("for=\"[::ffff:192.0.2.1]\"", vec![node("192.0.2.1", None)]),
            (
                "x=\"a,b;for=192.0.2.9\\\"\";for=192.0.2.1",
                vec![node("192.0.2.1", None)],
            ),
            ("x=\"\";for=192.0.2.1", vec![node("192.0.2.1", None)]),
        ] {
            assert_eq!(nodes(line), Some(expected), "{line}");
        }
        let scheme = |line| elements(line).unwrap().remove(0).scheme;
        assert_eq!(scheme("for=_x;Proto=\"https\""), Some("https".into()));
    }

    #[test]
    fn what_is_malformed() {
        for line in [
            "192.0.2.1",
            "for",
            "for=",
            "for=192.0.2.1:80",
            "for=[::1]",
            "for=\"::1\"",
            "for=\"[::1\"",
            "for=\"[::1]80\"",
            "for=\"[192.0.2.1]\"",
            "for=\"[fe80::1%lo]\"",
            "for=\"192.0.2.1:\"",
            "for=\"192.0.2.1:65536\"",
            "for=\"192.0.2.1:000080\"",
            "for=\"192.0.2.1:+80\"",
            "for=_",
            "for=example.org",
            "for = 192.0.2.1",
            "for=192.0.2.1 proto=http",
            "for=192.0.2.1;for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=\"192.0.2.1\\",
            // What a client began is not ended by what its proxy appends.
            "for=192.0.2.9;x=\", for=\"[2001:db8::1]\"",
            "for=192.0.2.9;x=\", for=198.51.100.1",
        ] {
            assert_eq!(nodes(line), None, "{line}");
        }
    }

    #[test]
    fn without_a_standard() {
        for (text, expected) in [
            ("192.0.2.1", node("192.0.2.1", None)),
            ("192.0.2.1:4711", node("192.0.2.1", Some(4711))),
            ("2001:db8::1", node("2001:db8::1", None)),
            ("[2001:db8::1]", node("2001:db8::1", None)),
            ("[2001:db8::1]:4711", node("2001:db8::1", Some(4711))),
            ("::ffff:192.0.2.1", node("192.0.2.1", None)),
            ("unknown", Some(Node::Hidden)),
            ("_x", Some(Node::Hidden)),
            ("localhost", None),
            ("192.0.2", None),
            ("192.0.2.01", None),
            ("\"192.0.2.1\"", None),
            ("", None),
        ] {
            assert_eq!(Node::loose(text), expected, "{text}");
        }
    }

    #[test]
    fn an_element_has_few_pairs() {
        let line = |pairs: usize| {
            let pairs: Vec<String> = (0..pairs).map(|n| format!("p{n}=x")).collect();
            elements(&pairs.join(";"))
        };
        assert!(line(crate::limits::FORWARDED_PAIRS).is_some());
        assert!(line(crate::limits::FORWARDED_PAIRS + 1).is_none());
    }

    fn quoted(text: &str) -> String {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            hops in prop::collection::vec((any::<std::net::SocketAddr>(), "[ -~]{0,9}"), 1..5),
        ) {
            let line: Vec<String> = hops
                .iter()
                .map(|(hop, other)| {
                    // Flow and scope are no part of it.
                    let hop = std::net::SocketAddr::new(hop.ip(), hop.port());
                    format!("by={};for={};proto={}", quoted(other), quoted(&hop.to_string()), quoted(other))
                })
                .collect();
            let expected: Vec<Element> = hops
                .iter()
                .map(|(hop, other)| Element {
                    node: Some(Node::Address(hop.ip().to_canonical(), Some(hop.port()))),
                    scheme: Some(other.clone()),
                })
                .collect();
            prop_assert_eq!(elements(&line.join(", ")), Some(expected));
        }

        #[test]
        fn whatever_a_client_wrote_before_it_the_last_element_is_the_proxys_or_none_is(
            text in "[for=\",;\\\\1. _x\\[\\]:]{0,40}",
        ) {
            for appended in ["for=198.51.100.1", "for=\"[2001:db8::1]:1\";proto=https"] {
                let own = elements(appended).unwrap().remove(0);
                if let Some(read) = elements(&format!("{text}, {appended}")) {
                    prop_assert_eq!(read.last(), Some(&own), "{}", text);
                }
            }
        }

        #[test]
        fn no_line_ends_us(line: String) {
            let _ = elements(&line);
            let _ = Node::loose(&line);
        }
    }
}
