//! Version 1: a line of text (proxy-protocol.txt, 2.1).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, Malformed, Says, canonical};

/// What a header begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line, with its end.
const LONGEST: usize = 107;

pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let end = bytes
        .windows(2)
        .take(LONGEST - 1)
        .position(|it| it == b"\r\n");
    let Some(end) = end else {
        return if bytes.len() < LONGEST {
            Ok(None)
        } else {
            Err(Malformed("its PROXY line does not end"))
        };
    };
    let line = std::str::from_utf8(bytes.get(SIGNATURE.len()..end).unwrap_or_default());
    let says = line.ok().and_then(says);
    Ok(Some(Header {
        says: says.ok_or(Malformed("its PROXY line is malformed"))?,
        length: end + 2,
    }))
}

fn says(line: &str) -> Option<Says> {
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Says::Nobody);
    }
    let [from, to, from_port, to_port] =
        [words.next()?, words.next()?, words.next()?, words.next()?];
    if words.next().is_some() {
        return None;
    }
    let end = |ip: &str, at: &str| -> Option<SocketAddr> {
        let at = port(at)?;
        match family {
            "TCP4" => Some((ip.parse::<Ipv4Addr>().ok()?, at).into()),
            "TCP6" => Some((ip.parse::<Ipv6Addr>().ok()?, at).into()),
            _ => None,
        }
    };
    Some(Says::Client {
        from: canonical(end(from, from_port)?),
        to: canonical(end(to, to_port)?),
        tls: false,
    })
}

/// Without zeros in front.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    is_plain.then(|| text.parse().ok())?
}

pub(super) fn write(ends: Option<(SocketAddr, SocketAddr)>) -> String {
    match ends {
        None => "PROXY UNKNOWN\r\n".to_owned(),
        Some((from, to)) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from_ip, to_ip) = (in_digits(from), in_digits(to));
            let (from, to) = (from.port(), to.port());
            format!("PROXY {family} {from_ip} {to_ip} {from} {to}\r\n")
        }
    }
}

/// The standard's form is hexadecimal throughout: not every reader takes `::ffff:192.0.2.1`.
fn in_digits(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => match address.ip().segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
            _ => address.ip().to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Says, read};
    use super::{LONGEST, write};

    fn says(line: &str) -> Option<Says> {
        read(format!("{line}\r\nGET").as_bytes())
            .ok()
            .flatten()
            .map(|header| {
                assert_eq!(header.length, line.len() + 2);
                header.says
            })
    }

    #[test]
    fn the_standards_own_lines() {
        for (line, from, to) in [
            (
                "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443",
                "192.168.0.1:56324",
                "192.168.0.11:443",
            ),
            (
                "PROXY TCP4 255.255.255.255 0.0.0.0 65535 0",
                "255.255.255.255:65535",
                "0.0.0.0:0",
            ),
            (
                "PROXY TCP6 2001:DB8::1 ::1 1 2",
                "[2001:db8::1]:1",
                "[::1]:2",
            ),
            (
                "PROXY TCP6 ::ffff:c000:201 ::1 1 2",
                "192.0.2.1:1",
                "[::1]:2",
            ),
        ] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let tls = false;
            assert_eq!(says(line), Some(Says::Client { from, to, tls }), "{line}");
        }
        for line in [
            "PROXY UNKNOWN",
            "PROXY UNKNOWN ffff::1 ffff::1 65535 65535",
            "PROXY UNKNOWN  \r",
        ] {
            assert_eq!(says(line), Some(Says::Nobody), "{line}");
        }
    }

    #[test]
    fn what_does_not_match_exactly() {
        for line in [
            "PROXY ",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP6 fe80::1%lo fe80::2 1 2",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY tcp4 192.0.2.1 192.0.2.2 1 2",
            "PROXY UNKNOWNS",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r",
        ] {
            assert_eq!(says(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_has_an_end() {
        let line = |size: usize| format!("PROXY UNKNOWN{}\r\n", "x".repeat(size - 15));
        let unknown = |size: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(size - 16));
        assert!(matches!(read(unknown(LONGEST).as_bytes()), Ok(Some(_))));
        assert!(read(unknown(LONGEST + 1).as_bytes()).is_err());
        assert!(read(line(LONGEST).as_bytes()).is_err());
        assert_eq!(read(&line(LONGEST).as_bytes()[..LONGEST - 1]), Ok(None));
    }

    #[test]
    fn ipv4_within_ipv6_is_written_in_hexadecimal() {
        let ends = (
            "[2001:db8::1]:1".parse().unwrap(),
            "[::ffff:10.0.0.1]:2".parse().unwrap(),
        );
        assert_eq!(
            write(Some(ends)),
            "PROXY TCP6 2001:db8::1 ::ffff:a00:1 1 2\r\n"
        );
    }
}
