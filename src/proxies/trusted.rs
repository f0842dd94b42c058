//! Who may speak for others (--trusted-proxy).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::listener::Peer;

/// Networks, and whether the Unix socket counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    networks: Vec<Network>,
    unix: bool,
}

/// An address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Trusted {
    /// Reads addresses, networks as `192.0.2.0/24`, and `unix`.
    ///
    /// # Errors
    /// One sentence about the first that is none of them.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        let mut trusted = Self::default();
        for text in list.iter().map(|text| text.trim()) {
            if text == "unix" {
                trusted.unix = true;
            } else {
                trusted.networks.push(Network::parse(text)?);
            }
        }
        Ok(trusted)
    }

    /// Whether there is nobody to trust.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.unix && self.networks.is_empty()
    }

    /// Whether every address is trusted, so that each client can name any.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.networks.iter().any(|network| network.bits == 0)
    }

    /// Whether this one may speak for others.
    #[must_use]
    pub fn has(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Unix { .. } => self.unix,
            Peer::Tcp(_) | Peer::Forwarded(_) => peer.ip().is_some_and(|ip| self.has_address(ip)),
        }
    }

    /// The same for an address.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(address))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let wrong = || {
            format!(
                "--trusted-proxy: '{text}' is neither an address like 192.0.2.7, nor a network \
                 like 192.0.2.0/24, nor 'unix'"
            )
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.starts_with('+') => return Err(wrong()),
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|it| *it <= most)
                .ok_or_else(wrong)?,
        };
        let network = Self { address, bits };
        if network.begin() != network.address {
            let begin = network.begin();
            return Err(format!(
                "--trusted-proxy: '{text}' has more bits than its prefix: {begin}/{bits} is the \
                 network, {address} the address"
            ));
        }
        // Peers are in their own form, also on a dual-stack socket.
        Ok(match address.to_canonical() {
            own @ IpAddr::V4(_) if address.is_ipv6() && bits >= 96 => Self {
                address: own,
                bits: bits - 96,
            },
            _ => network,
        })
    }

    fn has(self, address: IpAddr) -> bool {
        let other = Self { address, ..self };
        self.address.is_ipv4() == address.is_ipv4() && other.begin() == self.address
    }

    /// Its first address: the bits that do not count are 0.
    fn begin(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                (address & Ipv4Addr::from(mask)).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                (address & Ipv6Addr::from(mask)).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trusted;
    use crate::listener::Peer;

    fn trusted(list: &str) -> Result<Trusted, String> {
        let list: Vec<String> = list.split(',').map(str::to_owned).collect();
        Trusted::parse(&list)
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (list, address, has) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/31", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("10.0.0.0/8,2001:db8::/32", "2001:db8:ffff::1", true),
            ("10.0.0.0/8, 2001:db8::/32", "10.255.0.1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::/128", "2001:db8::", true),
            ("::/0", "2001:db9::", true),
            ("::/0", "192.0.2.1", false),
            ("::ffff:192.0.2.0/120", "192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.3.1", false),
            ("unix", "127.0.0.1", false),
        ] {
            let it = trusted(list).unwrap();
            assert_eq!(
                it.has_address(address.parse().unwrap()),
                has,
                "{list} {address}"
            );
        }
        let unix = Peer::Unix {
            uid: None,
            pid: None,
        };
        assert!(trusted("10.0.0.1,unix").unwrap().has(&unix));
        assert!(!trusted("0.0.0.0/0,::/0").unwrap().has(&unix));
        assert!(trusted("::/0").unwrap().is_everybody());
        assert!(!trusted("unix").unwrap().is_everybody());
    }

    #[test]
    fn what_is_no_network() {
        for list in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10/8",
            "::/129",
            "a/8",
            "10.0.0.1:80",
            "UNIX",
            "[::1]",
        ] {
            let error = trusted(list).unwrap_err();
            assert!(error.contains(&format!("'{list}' is neither")), "{error}");
        }
        let error = trusted("10.0.0.5/8").unwrap_err();
        assert!(
            error.contains("10.0.0.0/8 is the network, 10.0.0.5"),
            "{error}"
        );
        assert!(trusted("2001:db8::1/64").is_err());
    }
}
