//! The PROXY protocol: a proxy says whom a connection is from, before the connection's own first
//! byte (HAProxy's proxy-protocol.txt of 2020). Bytes in, values out; [`crate::proxies`] reads it
//! from those who may say so, [`crate::target`] sends it.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod v1;
mod v2;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The form in which a target is told whom a session is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it says.
    pub says: Says,
    /// Its size; the connection's own bytes begin behind it.
    pub length: usize,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Somebody with an address.
    Client {
        /// The client.
        from: SocketAddr,
        /// The address that it connected to.
        to: SocketAddr,
        /// Whether there is TLS between it and the proxy (PP2_TYPE_SSL).
        tls: bool,
    },
    /// The proxy itself (LOCAL), or somebody without an address of the internet (UNKNOWN, UNSPEC).
    Nobody,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Reads the header that `bytes` begin with. `None` when more is to come: then all of `bytes`
/// belongs to it.
///
/// # Errors
/// As soon as the bytes cannot begin a header of either version any more.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if agree(bytes, v2::SIGNATURE) {
        v2::read(bytes)
    } else if agree(bytes, v1::SIGNATURE) {
        v1::read(bytes)
    } else {
        Err(Malformed("it does not begin with a PROXY header"))
    }
}

/// The header for a client at `from` that connected to `to`, as far as these are known.
#[must_use]
pub fn write(version: ProxyVersion, from: Option<SocketAddr>, to: Option<SocketAddr>) -> Vec<u8> {
    let ends = from.map(|from| in_one_family(from, to));
    match version {
        ProxyVersion::V1 => v1::write(ends).into_bytes(),
        ProxyVersion::V2 => v2::write(ends),
    }
}

/// Whether one is the beginning of the other.
fn agree(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(one, other)| one == other)
}

/// Both ends of a header have one family. They may come in two where a proxy named the client: what
/// is IPv4 is then written as IPv6 has it (RFC 4291, 2.5.5.2), as HAProxy does. An end that is not
/// known is the unspecified address.
fn in_one_family(from: SocketAddr, to: Option<SocketAddr>) -> (SocketAddr, SocketAddr) {
    let nowhere = || match from {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let to = to.map_or_else(nowhere, canonical);
    let from = canonical(from);
    if from.is_ipv4() == to.is_ipv4() {
        (from, to)
    } else {
        (in_ipv6(from), in_ipv6(to))
    }
}

/// An IPv4 address in its own form, also where a dual-stack socket has it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn in_ipv6(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip, address.port()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Header, ProxyVersion, Says, read, write};

    const VERSIONS: [ProxyVersion; 2] = [ProxyVersion::V1, ProxyVersion::V2];

    fn client(from: &str, to: &str) -> Says {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let tls = false;
        Says::Client { from, to, tls }
    }

    #[test]
    fn both_ends_are_written_in_one_family() {
        for (from, to, from_read, to_read) in [
            (
                "192.0.2.1:1",
                Some("198.51.100.2:2"),
                "192.0.2.1:1",
                "198.51.100.2:2",
            ),
            (
                "[2001:db8::1]:1",
                Some("[::1]:2"),
                "[2001:db8::1]:1",
                "[::1]:2",
            ),
            (
                "[2001:db8::1]:0",
                Some("10.0.0.1:2"),
                "[2001:db8::1]:0",
                "10.0.0.1:2",
            ),
            (
                "192.0.2.1:1",
                Some("[2001:db8::2]:2"),
                "192.0.2.1:1",
                "[2001:db8::2]:2",
            ),
            (
                "192.0.2.1:1",
                Some("[::ffff:10.0.0.1]:2"),
                "192.0.2.1:1",
                "10.0.0.1:2",
            ),
            ("192.0.2.1:1", None, "192.0.2.1:1", "0.0.0.0:0"),
            ("[2001:db8::1]:1", None, "[2001:db8::1]:1", "[::]:0"),
        ] {
            for version in VERSIONS {
                let to = to.map(|to| to.parse().unwrap());
                let bytes = write(version, Some(from.parse().unwrap()), to);
                let header = read(&bytes).unwrap().unwrap();
                assert_eq!(header.says, client(from_read, to_read), "{from} {to:?}");
            }
        }
        for version in VERSIONS {
            let bytes = write(version, None, Some("10.0.0.1:2".parse().unwrap()));
            assert_eq!(read(&bytes).unwrap().unwrap().says, Says::Nobody);
        }
    }

    #[test]
    fn what_begins_neither_is_told_at_once() {
        assert_eq!(read(b""), Ok(None));
        for bytes in [&b"G"[..], b"PROXT", b"\x16\x03", b"\r\n\r\nG", b"proxy "] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            from: std::net::SocketAddr,
            to: std::net::SocketAddr,
            second: bool,
            behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let version = VERSIONS[usize::from(second)];
            let mut bytes = write(version, Some(from), Some(to));
            let length = bytes.len();
            bytes.extend(behind);
            for end in 0..length {
                prop_assert_eq!(read(&bytes[..end]), Ok(None), "{}", end);
            }
            let whole = read(&bytes[..length]);
            let Ok(Some(Header { says: Says::Client { from: got, .. }, .. })) = whole else {
                panic!("{whole:?}");
            };
            prop_assert_eq!(got.ip(), from.ip().to_canonical());
            prop_assert_eq!(got.port(), from.port());
            prop_assert_eq!(whole.unwrap().unwrap().length, length);
            for end in length..=bytes.len() {
                prop_assert_eq!(read(&bytes[..end]), whole);
            }
        }

        #[test]
        fn no_bytes_end_us(
            second: bool,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = if second {
                super::v2::SIGNATURE.to_vec()
            } else {
                super::v1::SIGNATURE.to_vec()
            };
            bytes.extend(rest);
            if let Ok(Some(header)) = read(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
