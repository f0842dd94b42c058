//! Which addresses are moved, and where to. Bytes in, bytes out: no socket, no pointer, no panic.

/// The longest address that is looked at, a `sockaddr_in6`.
pub const LONGEST: usize = 28;

/// Ports that one program may have moved: more than anything we wrap listens on.
pub const PORTS: usize = 16;

/// From one port to another; neither is 0 where there is a move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// What the program asks for.
    pub old: u16,
    /// What it gets.
    pub new: u16,
}

/// The address that takes another's place.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// As the kernel has it in memory.
    pub bytes: [u8; LONGEST],
    /// How many of them there are.
    pub length: usize,
}

// The address families of Linux, on every architecture.
const UNSPECIFIED: u16 = 0;
const IPV4: u16 = 2;
const IPV6: u16 = 10;

const LOOPBACK_IPV4: [u8; 4] = [127, 0, 0, 1];
const LOOPBACK_IPV6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Reads the two lists. Anything that is not plain is `None`: a typing error must not move half of
/// the ports.
#[must_use]
pub fn moves(old: &[u8], new: &[u8]) -> Option<[Move; PORTS]> {
    let mut moves = [Move::default(); PORTS];
    let (mut old, mut new) = (old.split(is_comma), new.split(is_comma));
    let mut places = moves.iter_mut();
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) => {
                *places.next()? = Move {
                    old: port(old)?,
                    new: port(new)?,
                }
            }
            (None, None) => return Some(moves),
            _ => return None,
        }
    }
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

fn port(digits: &[u8]) -> Option<u16> {
    let mut port: u16 = 0;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        port = port.checked_mul(10)?.checked_add(digit.into())?;
    }
    (port != 0).then_some(port)
}

/// What to bind in the place of `address`, which is the beginning of a `sockaddr` of its full
/// length; `None` where it is not to be moved. `only_v6` is asked of an IPv6 socket
/// (`IPV6_V6ONLY`).
///
/// A socket that takes IPv4 clients goes to `127.0.0.1`, so that a program which listens on every
/// address by one socket, or by two, is found there either way; others go to `::1`.
#[must_use]
pub fn moved(address: &[u8], moves: &[Move], only_v6: impl FnOnce() -> bool) -> Option<Address> {
    let family = u16::from_ne_bytes(field(address, 0)?);
    let asked = u16::from_be_bytes(field(address, 2)?);
    let new = moves
        .iter()
        .find(|it| it.old == asked && asked != 0)?
        .new
        .to_be_bytes();
    let mut bytes = [0; LONGEST];
    let length = match family {
        // To bind(2), no family and no address is every IPv4 address.
        UNSPECIFIED | IPV4 => {
            let host: [u8; 4] = field(address, 4)?;
            // A shorter one is refused by the kernel, and it has to be it that says so.
            field::<8>(address, 8)?;
            if family == UNSPECIFIED && host != [0; 4] {
                return None;
            }
            put(&mut bytes, 0, &IPV4.to_ne_bytes());
            put(&mut bytes, 4, &LOOPBACK_IPV4);
            16
        }
        IPV6 => {
            let host: [u8; 16] = field(address, 8)?;
            put(&mut bytes, 0, &family.to_ne_bytes());
            let takes_v4 = host == [0; 16] && !only_v6() || host.starts_with(&MAPPED);
            if takes_v4 {
                put(&mut bytes, 8, &MAPPED);
                put(&mut bytes, 20, &LOOPBACK_IPV4);
            } else {
                put(&mut bytes, 8, &LOOPBACK_IPV6);
            }
            LONGEST
        }
        _ => return None,
    };
    put(&mut bytes, 2, &new);
    Some(Address { bytes, length })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Copies what there is room for: that is all, at the places above.
fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, IPV4, IPV6, LONGEST, Move, PORTS, UNSPECIFIED, moved, moves};

    fn v4(family: u16, host: [u8; 4], port: u16) -> Vec<u8> {
        let mut bytes = family.to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend(host);
        bytes.extend([0; 8]);
        bytes
    }

    fn v6(host: &str, port: u16) -> Vec<u8> {
        let host: std::net::Ipv6Addr = host.parse().unwrap();
        let mut bytes = IPV6.to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(host.octets());
        bytes.extend([0; 4]);
        bytes
    }

    const TABLE: [Move; 2] = [
        Move {
            old: 5901,
            new: 40_001,
        },
        Move { old: 23, new: 2323 },
    ];

    fn whole(mut bytes: Vec<u8>) -> Option<Address> {
        let length = bytes.len();
        bytes.resize(LONGEST, 0);
        Some(Address {
            bytes: bytes.try_into().unwrap(),
            length,
        })
    }

    #[test]
    fn every_form_of_address_is_moved_to_loopback() {
        for host in [[0, 0, 0, 0], [192, 0, 2, 1], [127, 0, 0, 1], [127, 9, 9, 9]] {
            let address = v4(IPV4, host, 5901);
            let to = whole(v4(IPV4, [127, 0, 0, 1], 40_001));
            assert_eq!(moved(&address, &TABLE, || unreachable!()), to);
        }
        let address = v4(UNSPECIFIED, [0; 4], 23);
        let to = whole(v4(IPV4, [127, 0, 0, 1], 2323));
        assert_eq!(moved(&address, &TABLE, || unreachable!()), to);
        for (host, only_v6, to) in [
            ("::", false, "::ffff:127.0.0.1"),
            ("::", true, "::1"),
            ("::ffff:192.0.2.1", false, "::ffff:127.0.0.1"),
            ("::ffff:0.0.0.0", false, "::ffff:127.0.0.1"),
            ("::1", false, "::1"),
            ("2001:db8::1", false, "::1"),
            ("2001:db8::1", true, "::1"),
        ] {
            let got = moved(&v6(host, 23), &TABLE, || only_v6);
            assert_eq!(got, whole(v6(to, 2323)), "{host} {only_v6}");
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        let untouched = |address: &[u8]| moved(address, &TABLE, || false).is_none();
        assert!(untouched(&v4(IPV4, [0; 4], 5902)));
        assert!(untouched(&v4(IPV4, [0; 4], 0)));
        assert!(untouched(&v6("::", 5902)));
        assert!(untouched(&v4(UNSPECIFIED, [192, 0, 2, 1], 5901)));
        assert!(untouched(&v4(1, [0; 4], 5901)));
        assert!(untouched(&v4(17, [0; 4], 5901)));
        let nothing = [Move::default(); PORTS];
        assert!(moved(&v4(IPV4, [0; 4], 0), &nothing, || false).is_none());
    }

    #[test]
    fn an_address_of_any_length_is_read_within_its_bounds() {
        for (whole, least) in [
            (v4(IPV4, [0; 4], 5901), 16),
            (v4(UNSPECIFIED, [0; 4], 5901), 16),
            // The kernel does without the scope (RFC 2133).
            (v6("::", 5901), 24),
        ] {
            for length in 0..=whole.len() {
                let got = moved(&whole[..length], &TABLE, || false);
                assert_eq!(got.is_some(), length >= least, "{length} of {whole:?}");
            }
        }
    }

    #[test]
    fn lists_of_ports() {
        let of = |old: &str, new: &str| moves(old.as_bytes(), new.as_bytes());
        let two = of("5901,23", "40001,2323").unwrap();
        assert_eq!(
            (two[..2].to_vec(), two[2]),
            (TABLE.to_vec(), Move::default())
        );
        assert_eq!(of("0065535", "1").unwrap()[0], Move { old: 65535, new: 1 });
        let many = vec!["7"; PORTS].join(",");
        assert!(of(&many, &many).is_some());
        let too_many = vec!["7"; PORTS + 1].join(",");
        for (old, new) in [
            ("", ""),
            ("5901", ""),
            ("", "5901"),
            ("5901", "0"),
            ("0", "5901"),
            ("65536", "1"),
            ("99999999999999999999", "1"),
            ("5901 ", "1"),
            ("+1", "1"),
            ("-1", "1"),
            ("0x17", "1"),
            ("1,", "1,"),
            ("1,2", "1"),
            ("1", "1,2"),
            (&too_many, &too_many),
        ] {
            assert_eq!(of(old, new), None, "{old} {new}");
        }
    }
}
