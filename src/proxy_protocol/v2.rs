//! Version 2: binary, with further fields behind the addresses (proxy-protocol.txt, 2.2).

use std::net::{IpAddr, SocketAddr};

use super::{Header, Malformed, Says, canonical};
use crate::limits;

/// What a header begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and protocol, and the length of the rest.
const FIXED: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;

pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let command = bytes.get(12).copied();
    if command.is_some_and(|it| it != LOCAL && it != PROXY) {
        return Err(Malformed(
            "its PROXY header is of another version or command",
        ));
    }
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > limits::PROXY_HEADER {
        return Err(Malformed("its PROXY header is too long"));
    }
    let (Some(header), Some(block)) = (bytes.get(..length), rest.get(..length - FIXED)) else {
        return Ok(None);
    };
    // What a proxy says of itself, whatever it is, is not about a client.
    let says = if command == LOCAL {
        Says::Nobody
    } else {
        says(header, family, block)?
    };
    Ok(Some(Header { says, length }))
}

fn says(header: &[u8], family: u8, block: &[u8]) -> Result<Says, Malformed> {
    let (family, protocol) = (family >> 4, family & 0xf);
    let size = match (family, protocol) {
        // Nothing tells where its addresses would end, so the rest is skipped.
        (0, 0..=2) => return Ok(Says::Nobody),
        (1, 0..=2) => 12,
        (2, 0..=2) => 36,
        (3, 0..=2) => 216,
        _ => return Err(Malformed("its PROXY header names an unknown family")),
    };
    let cut_short = Malformed("its PROXY header is cut short");
    let (addresses, fields) = block.split_at_checked(size).ok_or(cut_short)?;
    let tls = read_fields(header, fields)?;
    let ends = match (family, protocol) {
        (1, 1) => ends::<4>(addresses),
        (2, 1) => ends::<16>(addresses),
        // Valid, but no client of a TCP port.
        _ => return Ok(Says::Nobody),
    };
    let (from, to) = ends.ok_or(cut_short)?;
    Ok(Says::Client { from, to, tls })
}

/// Two addresses of `SIZE` bytes, then two ports.
fn ends<const SIZE: usize>(block: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; SIZE]>,
{
    let (from, rest) = block.split_first_chunk::<SIZE>()?;
    let (to, rest) = rest.split_first_chunk::<SIZE>()?;
    let &[from_high, from_low, to_high, to_low] = rest else {
        return None;
    };
    let end =
        |ip: &[u8; SIZE], port| canonical((IpAddr::from(*ip), u16::from_be_bytes(port)).into());
    Some((end(from, [from_high, from_low]), end(to, [to_high, to_low])))
}

/// Checks the checksum, if there is one, and says whether the client speaks TLS to the proxy; all
/// other fields are skipped.
fn read_fields(header: &[u8], mut fields: &[u8]) -> Result<bool, Malformed> {
    let cut_short = Malformed("its PROXY header is cut short");
    let mut tls = false;
    while !fields.is_empty() {
        let (&[kind, high, low], rest) = fields.split_first_chunk::<3>().ok_or(cut_short)?;
        let size = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(size).ok_or(cut_short)?;
        match kind {
            CRC32C => {
                let given: [u8; 4] = value.try_into().map_err(|_| cut_short)?;
                let at = header.len() - rest.len() - value.len();
                if crc32c(header, at..at + 4) != u32::from_be_bytes(given) {
                    return Err(Malformed("its PROXY header has another checksum"));
                }
            }
            SSL => tls = value.first().is_some_and(|client| client & 1 != 0),
            _ => {}
        }
        fields = rest;
    }
    Ok(tls)
}

/// The checksum of RFC 9260, appendix A, with zeros in the place of `blank`.
fn crc32c(bytes: &[u8], blank: std::ops::Range<usize>) -> u32 {
    let mut crc = u32::MAX;
    for (at, byte) in bytes.iter().enumerate() {
        crc ^= u32::from(if blank.contains(&at) { 0 } else { *byte });
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

pub(super) fn write(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let (command, family, length): (u8, u8, u16) = match ends {
        Some((SocketAddr::V4(_), _)) => (PROXY, 0x11, 12),
        Some((SocketAddr::V6(_), _)) => (PROXY, 0x21, 36),
        // As our own connection: readers must take that, and may refuse somebody unspecified.
        None => (LOCAL, 0, 0),
    };
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(length.to_be_bytes());
    if let Some((from, to)) = ends {
        for end in [from, to] {
            match end.ip() {
                IpAddr::V4(ip) => bytes.extend(ip.octets()),
                IpAddr::V6(ip) => bytes.extend(ip.octets()),
            }
        }
        bytes.extend(from.port().to_be_bytes());
        bytes.extend(to.port().to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Says, read};
    use super::{FIXED, SIGNATURE, crc32c};
    use crate::limits;

    const ADDRESSES: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x17, 0x5d];

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap();
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(block);
        bytes
    }

    fn field(kind: u8, value: &[u8]) -> Vec<u8> {
        let size = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind], &size[..], value].concat()
    }

    fn client(tls: bool) -> Says {
        Says::Client {
            from: "192.0.2.1:4660".parse().unwrap(),
            to: "10.0.0.1:5981".parse().unwrap(),
            tls,
        }
    }

    fn says(bytes: &[u8]) -> Option<Says> {
        for end in 0..bytes.len() {
            // Wrong before it is whole, or not yet known.
            assert!(!matches!(read(&bytes[..end]), Ok(Some(_))), "{end}");
        }
        let whole = read(bytes).ok()?;
        whole.map(|Header { says, length }| {
            assert_eq!(length, bytes.len());
            says
        })
    }

    #[test]
    fn fields_are_skipped_but_for_tls() {
        let with = |fields: &[Vec<u8>]| {
            says(&header(
                0x21,
                0x11,
                &[&ADDRESSES[..], &fields.concat()].concat(),
            ))
        };
        assert_eq!(with(&[]), Some(client(false)));
        assert_eq!(
            with(&[field(2, b"h"), field(0xea, b""), field(4, &[0; 9])]),
            Some(client(false))
        );
        assert_eq!(
            with(&[field(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 1, b'x'])]),
            Some(client(true))
        );
        assert_eq!(with(&[field(0x20, &[6, 0, 0, 0, 0])]), Some(client(false)));
        assert_eq!(with(&[field(0x20, &[])]), Some(client(false)));
        assert_eq!(with(&[vec![2, 0]]), None);
        assert_eq!(with(&[vec![2, 0, 2, b'x']]), None);
    }

    #[test]
    fn a_checksum_is_held_against_the_header() {
        assert_eq!(crc32c(b"123456789", 0..0), 0xe306_9283);
        let blank = [&ADDRESSES[..], &field(3, &[0; 4]), &field(4, &[7])].concat();
        let mut bytes = header(0x21, 0x11, &blank);
        let at = FIXED + ADDRESSES.len() + 3;
        let checksum = crc32c(&bytes, at..at + 4).to_be_bytes();
        bytes[at..at + 4].copy_from_slice(&checksum);
        assert_eq!(says(&bytes), Some(client(false)));
        for place in [16, 20, 24, at, at + 7] {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert_eq!(says(&other), None, "{place}");
        }
        let short = [&ADDRESSES[..], &field(3, &[0; 3])].concat();
        assert_eq!(says(&header(0x21, 0x11, &short)), None);
    }

    #[test]
    fn whoever_has_no_address_is_nobody() {
        for (command, family, block) in [
            (0x20, 0x00, &[][..]),
            (0x20, 0x11, &ADDRESSES[..]),
            (0x20, 0xff, b"any"),
            (0x21, 0x00, b"any"),
            (0x21, 0x12, &ADDRESSES),
            (0x21, 0x31, &[7; 216]),
            (0x21, 0x32, &[7; 220 - 4]),
            (0x21, 0x22, &[7; 36]),
        ] {
            let bytes = header(command, family, block);
            assert_eq!(says(&bytes), Some(Says::Nobody), "{command:x} {family:x}");
        }
    }

    #[test]
    fn what_is_no_header() {
        for (command, family, block) in [
            (0x11, 0x11, &ADDRESSES[..]),
            (0x22, 0x11, &ADDRESSES),
            (0x21, 0x41, &ADDRESSES),
            (0x21, 0x13, &ADDRESSES),
            (0x21, 0x11, &ADDRESSES[1..]),
            (0x21, 0x21, &[7; 35]),
            (0x21, 0x31, &[7; 215]),
        ] {
            assert_eq!(
                says(&header(command, family, block)),
                None,
                "{command:x} {family:x}"
            );
        }
        let most = limits::PROXY_HEADER - FIXED;
        assert!(says(&header(0x20, 0, &vec![0; most])).is_some());
        // Told before the rest has come.
        assert!(read(&header(0x20, 0, &vec![0; most + 1])[..FIXED]).is_err());
    }
}
