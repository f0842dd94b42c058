//! Where no session goes, whatever a token says: `--allow-target`, and round to ourselves.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::{parse_port, split_host_port};
use crate::listener::{Own, is_of_this_machine, reached};

/// What holds every session.
#[derive(Debug, Default)]
pub struct Walls {
    /// Targets must match one of them, if there are any.
    allowed: Vec<Rule>,
    own: Vec<Own>,
}

/// An `--allow-target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    place: Place,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Addresses with the same first bits.
    Network(IpAddr, u8),
    /// A name, or all beneath it.
    Host { name: String, beneath: bool },
    /// Sockets in a directory.
    Directory(PathBuf),
}

/// Why a target may not be reached, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// No rule names it.
    #[error("no --allow-target names it")]
    NotAllowed,
    /// It is a listener of ours: the session would come back to us for ever.
    #[error("it is this server itself")]
    Ourselves,
}

impl Walls {
    /// For a server that listens at `own`.
    #[must_use]
    pub fn new(allowed: Vec<Rule>, own: Vec<Own>) -> Self {
        Self { allowed, own }
    }

    /// Those of the addresses of `host` that may be dialled. Judged are addresses, for a name may
    /// have any, and another one each time it is asked for.
    ///
    /// # Errors
    /// There is none.
    pub fn judge(
        &self,
        host: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Forbidden> {
        let mut refused = None;
        let may = |address: &SocketAddr| {
            let verdict = self.judge_address(host, *address);
            verdict.map_err(|why| refused = Some(why)).is_ok()
        };
        let kept: Vec<SocketAddr> = addresses.into_iter().filter(may).collect();
        match refused {
            Some(why) if kept.is_empty() => Err(why),
            _ => Ok(kept),
        }
    }

    fn judge_address(&self, host: &str, address: SocketAddr) -> Result<(), Forbidden> {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let allows = |rule: &Rule| rule.ports.contains(&port) && rule.place.has(host, ip);
        if !(self.allowed.is_empty() || self.allowed.iter().any(allows)) {
            return Err(Forbidden::NotAllowed);
        }
        let to = reached(address);
        let ours = |own: &Own| match own {
            Own::Tcp { address, only_v6 } if address.port() == port => {
                let all = address.ip().is_unspecified();
                let family = address.is_ipv4() == to.is_ipv4() || address.is_ipv6() && !only_v6;
                address.ip().to_canonical() == to.ip() || all && family && is_of_this_machine(to)
            }
            _ => false,
        };
        if self.own.iter().any(ours) {
            return Err(Forbidden::Ourselves);
        }
        Ok(())
    }

    /// Judges the path of a Unix socket; blocks. Where a rule allows it, says which directory the
    /// way must not leave by any link.
    ///
    /// # Errors
    /// It may not be reached.
    pub fn judge_path(&self, path: &Path) -> Result<Option<&Path>, Forbidden> {
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let mut within = self.allowed.iter().filter_map(|rule| match &rule.place {
            Place::Directory(directory) => Some(directory.as_path()),
            Place::Network(..) | Place::Host { .. } => None,
        });
        let within = within.find(|directory| plain && path.starts_with(directory));
        if within.is_none() && !self.allowed.is_empty() {
            return Err(Forbidden::NotAllowed);
        }
        let ours = |own: &Own| match own {
            Own::Unix(listener) => is_same(listener, path),
            Own::Tcp { .. } => false,
        };
        if self.own.iter().any(ours) {
            return Err(Forbidden::Ourselves);
        }
        Ok(within)
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

impl Rule {
    /// Reads `CIDR`, `HOST` or `*.DOMAIN`, each with `:PORT` or `:FIRST-LAST` if it is not for all
    /// ports, or `unix:DIRECTORY`.
    ///
    /// # Errors
    /// One sentence that quotes the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("--allow-target: '{text}' {what}");
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err(wrong("is not an absolute directory"));
            }
            return Ok(Self {
                place: Place::Directory(path.into()),
                ports: 0..=u16::MAX,
            });
        }
        let bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
        let (place, ports) = match split_host_port(text) {
            // `[2001:db8::]/32` ends in a length, not in a port.
            Some((_, rest)) if bare_v6 || rest.contains(']') => (text, None),
            Some((place, ports)) => (place, Some(ports)),
            None => (text, None),
        };
        let ports = match ports {
            Some(ports) => {
                parse_ports(ports).ok_or_else(|| wrong("does not end in PORT or FIRST-LAST"))?
            }
            None => 0..=u16::MAX,
        };
        let place = Place::parse(place)
            .ok_or_else(|| wrong("is not CIDR, HOST, *.DOMAIN or unix:DIRECTORY"))?;
        Ok(Self { place, ports })
    }
}

fn parse_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_port(first)?, parse_port(last)?);
    (0 < first && first <= last).then_some(first..=last)
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let unbracketed: String = text.replace(['[', ']'], "");
        let (address, length) = match unbracketed.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (unbracketed.as_str(), None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = match length {
                Some(length) => length.parse().ok().filter(|length| *length <= most)?,
                None => most,
            };
            return Some(Self::Network(address, length));
        }
        let (name, beneath) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let is_name = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_');
        // A misspelt address must not pass for a name that is never seen.
        let numeric = name.chars().all(|it| it.is_ascii_digit() || it == '.');
        (!numeric && name.chars().all(is_name)).then(|| Self::Host {
            name: without_dot(name).to_lowercase(),
            beneath,
        })
    }

    fn has(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Network(network, length) => match (network, address) {
                (IpAddr::V4(network), IpAddr::V4(address)) => {
                    let bits = u32::from(*network) ^ u32::from(address);
                    bits.leading_zeros() >= u32::from(*length)
                }
                (IpAddr::V6(network), IpAddr::V6(address)) => {
                    let bits = u128::from(*network) ^ u128::from(address);
                    bits.leading_zeros() >= u32::from(*length)
                }
                _ => false,
            },
            Self::Host { name, beneath } => {
                let host = without_dot(host).to_lowercase();
                if *beneath {
                    host.strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                } else {
                    host == *name
                }
            }
            Self::Directory(_) => false,
        }
    }
}

/// A name that ends in a dot is the same without it.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
    use std::path::Path;

    use super::{Forbidden, Own, Rule, Walls};

    fn walls(rules: &[&str]) -> Walls {
        let rules = rules.iter().map(|rule| Rule::parse(rule).unwrap());
        Walls::new(rules.collect(), Vec::new())
    }

    #[test]
    fn addresses_are_judged_and_names_only_where_a_rule_has_one() {
        for (rule, host, address, may) in [
            ("10.0.0.0/8", "h", "10.255.0.1:1", true),
            ("10.0.0.0/8", "h", "11.0.0.1:1", false),
            ("10.0.0.0/8", "h", "[::ffff:10.0.0.1]:1", true),
            ("10.0.0.0/8:5900-5999", "h", "10.0.0.1:5900", true),
            ("10.0.0.0/8:5900-5999", "h", "10.0.0.1:6000", false),
            ("192.0.2.1", "192.0.2.1", "192.0.2.1:22", true),
            ("192.0.2.1:22", "192.0.2.1", "192.0.2.2:22", false),
            ("2001:db8::/32", "h", "[2001:db8:1::1]:1", true),
            ("[2001:db8::]/32", "h", "[2001:db9::1]:1", false),
            ("[2001:db8::]/32:5900", "h", "[2001:db8::1]:5900", true),
            ("[2001:db8::]/32:5900", "h", "[2001:db8::1]:5901", false),
            ("[2001:db8::1]:5900", "h", "[2001:db8::1]:5900", true),
            ("0.0.0.0/0", "h", "[2001:db8::1]:1", false),
            ("::/0", "h", "[2001:db8::1]:1", true),
            ("vm.example.org", "VM.example.org.", "10.0.0.1:1", true),
            ("vm.example.org", "a.vm.example.org", "10.0.0.1:1", false),
            ("*.example.org:1", "a.vm.example.org", "10.0.0.1:1", true),
            ("*.example.org", "example.org", "10.0.0.1:1", false),
            ("*.example.org", "evilexample.org", "10.0.0.1:1", false),
            ("unix:/run/vm", "h", "10.0.0.1:1", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            let judged = walls(&[rule]).judge(host, vec![address]);
            assert_eq!(judged.is_ok(), may, "{rule} {host} {address}");
        }
    }

    #[test]
    fn of_several_addresses_the_allowed_ones_are_left() {
        let (good, bad): (SocketAddr, SocketAddr) = (
            "10.0.0.1:1".parse().unwrap(),
            "169.254.169.254:1".parse().unwrap(),
        );
        let walls = walls(&["10.0.0.0/8", "192.168.0.0/16"]);
        assert_eq!(walls.judge("h", vec![bad, good]), Ok(vec![good]));
        assert_eq!(walls.judge("h", vec![bad]), Err(Forbidden::NotAllowed));
        assert_eq!(walls.judge("h", vec![]), Ok(vec![]));
    }

    #[test]
    fn paths() {
        let walls = walls(&["unix:/run/vm", "10.0.0.0/8"]);
        for (path, may) in [
            ("/run/vm/a", true),
            ("/run/vm/a/b", true),
            ("/run/vmx/a", false),
            ("/run/vm/../a", false),
            ("/run/a", false),
        ] {
            assert_eq!(walls.judge_path(Path::new(path)).is_ok(), may, "{path}");
        }
    }

    #[test]
    fn our_own_listeners_by_any_address_of_this_machine() {
        let at = |text: &str, only_v6| Own::Tcp {
            address: text.parse().unwrap(),
            only_v6,
        };
        for (own, target, ours) in [
            (at("0.0.0.0:6080", false), "127.0.0.1:6080", true),
            (at("0.0.0.0:6080", false), "127.9.9.9:6080", true),
            (at("0.0.0.0:6080", false), "0.0.0.0:6080", true),
            (at("0.0.0.0:6080", false), "127.0.0.1:6081", false),
            (at("0.0.0.0:6080", false), "192.0.2.1:6080", false),
            (at("[::]:6080", false), "127.0.0.1:6080", true),
            (at("[::]:6080", true), "127.0.0.1:6080", false),
            (at("127.0.0.1:6080", false), "127.0.0.1:6080", true),
            (at("127.0.0.1:6080", false), "[::ffff:127.0.0.1]:6080", true),
            (at("127.0.0.1:6080", false), "127.0.0.2:6080", false),
            (at("127.0.0.1:6080", false), "0.0.0.0:6080", true),
            (at("127.0.0.1:6080", false), "[::ffff:0.0.0.0]:6080", true),
            (at("127.0.0.1:6080", false), "[::]:6080", false),
            (at("127.0.0.2:6080", false), "0.0.0.0:6080", false),
            (at("[::1]:6080", false), "[::]:6080", true),
            (at("[::1]:6080", false), "0.0.0.0:6080", false),
            (at("[::]:6080", true), "[::]:6080", true),
        ] {
            let shown = format!("{own:?} {target}");
            let walls = Walls::new(Vec::new(), vec![own]);
            let judged = walls.judge("h", vec![target.parse().unwrap()]);
            let expected = if ours {
                Err(Forbidden::Ourselves)
            } else {
                Ok(())
            };
            assert_eq!(judged.map(|_| ()), expected, "{shown}");
        }
    }

    /// Where it has one: it counts with its zone only.
    #[test]
    fn our_own_listeners_by_an_address_of_a_link() {
        let addresses = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        for line in addresses.lines().filter(|line| line.starts_with("fe80")) {
            let hex = |word: &str| u128::from_str_radix(word, 16).unwrap();
            let mut words = line.split_whitespace().map(hex);
            let ip = Ipv6Addr::from(words.next().unwrap());
            let zone = u32::try_from(words.next().unwrap()).unwrap();
            let target = SocketAddrV6::new(ip, 6080, 0, zone).into();
            let own = Own::Tcp {
                address: "[::]:6080".parse().unwrap(),
                only_v6: false,
            };
            let walls = Walls::new(Vec::new(), vec![own]);
            let judged = walls.judge("h", vec![target]);
            assert_eq!(judged, Err(Forbidden::Ourselves), "{target}");
        }
    }

    #[test]
    fn what_is_no_rule() {
        for text in [
            "",
            "10.0.0.0/33",
            "2001:db8::/129",
            "10.0.0.0/8:",
            "10.0.0.0/8:0",
            "h:9-1",
            "10.0.0",
            "10.0.0.0.0/8",
            "h:70000",
            "a b",
            "*",
            "unix:run",
            "http://h",
            "10.0.0.0/x",
        ] {
            let error = Rule::parse(text).unwrap_err();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }
}
