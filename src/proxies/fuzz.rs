//! Headers that proxies write, behind those that a client made up.

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::Trusted;
use super::forwarded::{Node, elements};
use super::headers::named;
use crate::fuzz::Input;

/// Lines that begin with `F`, `X` or `P` for `Forwarded`, `X-Forwarded-For` and `-Proto`. Whatever
/// they say, our own proxy's word behind them counts, or nobody's.
pub(crate) fn forwarded(data: &[u8]) {
    let networks = ["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()];
    let Ok(trusted) = Trusted::parse(&networks) else {
        return;
    };
    let mut input = Input::new(data);
    let mut given = HeaderMap::new();
    while !input.is_empty() {
        let line = input.line();
        let (first, line) = line.split_at(line.len().min(1));
        let name = match first {
            b"F" => FORWARDED,
            b"X" => HeaderName::from_static("x-forwarded-for"),
            _ => HeaderName::from_static("x-forwarded-proto"),
        };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            if let Some(text) = value.to_str().ok().filter(|_| first == b"F") {
                read_again(text);
            }
            if let Some(node) = value.to_str().ok().and_then(Node::loose) {
                read_as_std_does(node, value.to_str().unwrap_or_default());
            }
            given.append(name, value);
        }
    }
    let _ = named(&trusted, &given);
    for (name, other, word) in [
        ("forwarded", "x-forwarded-for", "for=198.51.100.7"),
        ("x-forwarded-for", "forwarded", "198.51.100.7"),
    ] {
        let mut headers = given.clone();
        headers.remove(other);
        for own_line in [true, false] {
            let mut headers = headers.clone();
            let word = match headers.get_all(name).iter().next_back() {
                Some(last) if !own_line => [last.as_bytes(), b", ", word.as_bytes()].concat(),
                _ => word.as_bytes().to_vec(),
            };
            let name = HeaderName::from_static(name);
            let mut lines: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
            if !own_line {
                lines.pop();
            }
            lines.extend(HeaderValue::from_bytes(&word));
            headers.remove(&name);
            for line in lines {
                headers.append(&name, line);
            }
            if let Ok(named) = named(&trusted, &headers) {
                let client = named.peer.and_then(|peer| peer.ip());
                assert_eq!(client, Some(IpAddr::from([198, 51, 100, 7])), "{headers:?}");
            }
        }
    }
}

/// Elements in the order of the line; as many as there are commas outside of quotes at the most.
fn read_again(line: &str) {
    let Some(elements) = elements(line) else {
        return;
    };
    let (mut commas, mut quoted, mut escaped) = (0, false, false);
    for character in line.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => commas += 1,
            _ => {}
        }
    }
    assert!(!quoted && elements.len() <= commas + 1, "{line:?}");
}

/// An address is what std reads from the same text, but for brackets and port.
fn read_as_std_does(node: Node, text: &str) {
    if let Node::Address(ip, port) = node {
        let whole: Option<std::net::SocketAddr> = text.parse().ok();
        if let (Some(whole), Some(port)) = (whole, port) {
            assert_eq!((whole.ip().to_canonical(), whole.port()), (ip, port));
        }
        if let Ok(bare) = text.parse::<IpAddr>() {
            assert_eq!(bare.to_canonical(), ip);
        }
    }
}

/// A network in a line, then an address.
pub(crate) fn trusted(data: &[u8]) {
    let mut input = Input::new(data);
    let network = String::from_utf8_lossy(input.line()).into_owned();
    let Ok(address) = String::from_utf8_lossy(input.rest()).parse::<IpAddr>() else {
        let _ = Trusted::parse(&[network]);
        return;
    };
    let Ok(trusted) = Trusted::parse(std::slice::from_ref(&network)) else {
        return;
    };
    if trusted.has_address(address) {
        let text = network.trim();
        let (of, bits) = text.split_once('/').unwrap_or((text, "all"));
        let of: IpAddr = of.parse().unwrap_or_else(|_| panic!("{network}"));
        let whole = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
            IpAddr::V6(ip) => u128::from(ip),
        };
        let most = if of.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.parse().unwrap_or(most);
        let other = (most - bits).min(128);
        let differ = whole(of) ^ whole(address);
        assert_eq!(
            differ.checked_shr(other).unwrap_or(0),
            0,
            "{network} {address}"
        );
    }
}
