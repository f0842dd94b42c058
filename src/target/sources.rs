//! Where connections to TCP targets come from: `--bind-source`. One address has as many ports towards
//! one target as `net.ipv4.ip_local_port_range` has (ip(7)), so more sessions need more addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use crate::error::Failure;
use crate::listener::is_of_this_machine;

/// Addresses of this machine that connections take in turn; without any, the kernel chooses.
#[derive(Clone, Debug, Default)]
pub struct Sources(Option<Arc<Families>>);

#[derive(Debug, Default)]
struct Families {
    v4: Turns,
    v6: Turns,
}

/// Each family has its own, because a name with addresses of both is tried at one after the other.
#[derive(Debug, Default)]
struct Turns {
    addresses: Vec<SocketAddr>,
    next: AtomicUsize,
}

impl Sources {
    /// Reads addresses.
    ///
    /// # Errors
    /// One sentence that quotes the text.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let mut families = Families::default();
        for text in texts {
            let source = parse_source(text).map_err(|what| {
                format!("--bind-source: '{text}' {what}: give an address of this machine")
            })?;
            let turns = match source {
                SocketAddr::V4(_) => &mut families.v4,
                SocketAddr::V6(_) => &mut families.v6,
            };
            if !turns.addresses.contains(&source) {
                turns.addresses.push(source);
            }
        }
        Ok(Self((!texts.is_empty()).then(|| Arc::new(families))))
    }

    /// Whether there are any.
    #[must_use]
    pub fn are_given(&self) -> bool {
        self.0.is_some()
    }

    /// Makes sure that this machine has one of them now; the log names each that it has not, for a
    /// start is not to fail by what a session would pass over. Where programs may bind to any address
    /// (`net.ipv4.ip_nonlocal_bind`), as on machines that take over another's, all are believed.
    ///
    /// # Errors
    /// [`Failure::Start`]: it has none of them.
    pub fn are_here(&self) -> Result<(), Failure> {
        let families = self.0.iter();
        let all: Vec<&SocketAddr> = families
            .flat_map(|it| it.v4.addresses.iter().chain(&it.v6.addresses))
            .collect();
        let absent = all.iter().filter(|source| !is_of_this_machine(***source));
        let absent: Vec<String> = absent.map(|source| source.ip().to_string()).collect();
        if absent.is_empty() {
            return Ok(());
        }
        let text = format!(
            "--bind-source: this machine has no address {}; `ip address` lists what it has",
            absent.join(", ")
        );
        if absent.len() == all.len() {
            return Err(Failure::start(text));
        }
        log::warn!("{text}");
        Ok(())
    }

    /// Those for a connection to `target`, the one whose turn it is first; `None` where the kernel
    /// chooses.
    ///
    /// # Errors
    /// There are only addresses of the other family.
    pub(super) fn towards(&self, target: IpAddr) -> io::Result<Option<Vec<SocketAddr>>> {
        let Some(families) = &self.0 else {
            return Ok(None);
        };
        let turns = match target {
            IpAddr::V4(_) => &families.v4,
            IpAddr::V6(_) => &families.v6,
        };
        let count = turns.addresses.len();
        if count == 0 {
            let text = format!("--bind-source has no address of the family of {target}");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        let first = turns.next.fetch_add(1, Ordering::Relaxed) % count;
        let order = turns.addresses.iter().cycle().skip(first).take(count);
        Ok(Some(order.copied().collect()))
    }
}

/// Whether a connection cannot be from there. bind(2) says so of an address that is gone, and
/// connect(2) of one without a free port. Where `ip_nonlocal_bind` lets an absent one be bound,
/// connect(2) finds no way from there.
pub(super) fn is_of_no_use(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|it| [Errno::ADDRNOTAVAIL, Errno::INVAL, Errno::NETUNREACH].contains(&it))
}

/// Says what to do about `error`, after which none of `sources` is left to connect from.
pub(super) fn explain(error: &io::Error, sources: &[SocketAddr]) -> io::Error {
    let gone = sources.iter().filter(|it| !is_of_this_machine(**it));
    let gone: Vec<String> = gone.map(|it| it.ip().to_string()).collect();
    let text = match sources.len() {
        _ if !gone.is_empty() => {
            format!(
                "--bind-source: this machine has no longer {}",
                gone.join(", ")
            )
        }
        count if error.kind() != io::ErrorKind::AddrNotAvailable => {
            format!("from none of {count} addresses of --bind-source")
        }
        0 => "no port is free towards it, or this machine has no address for its network; \
              --bind-source gives more ports"
            .to_owned(),
        count => format!(
            "no port is free towards it from any of {count} addresses of --bind-source; more \
             addresses give more"
        ),
    };
    io::Error::new(error.kind(), format!("{error}: {text}"))
}

fn parse_source(text: &str) -> Result<SocketAddr, &'static str> {
    let ip: IpAddr = text.parse().map_err(|_| "is not an IP address")?;
    match ip.to_canonical() {
        ip if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]) => {
            Err("is not the address of one machine")
        }
        // It would need its link, and a target on a link is reached from there anyway.
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Err("counts on one link only"),
        ip => Ok((ip, 0).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::Sources;

    fn sources(line: &str) -> Result<Sources, String> {
        let texts: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Sources::parse(&texts)
    }

    #[test]
    fn each_family_takes_turns_of_its_own() {
        let sources = sources("192.0.2.1 2001:db8::1 ::ffff:192.0.2.2 192.0.2.1").unwrap();
        let order = |target: &str| {
            let found = sources.towards(target.parse().unwrap());
            let found = found.unwrap().unwrap().into_iter();
            found.map(|it| it.ip().to_string()).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(order("127.0.0.1"), ["192.0.2.1", "192.0.2.2"]);
            assert_eq!(order("::1"), ["2001:db8::1"]);
            assert_eq!(order("127.0.0.1"), ["192.0.2.2", "192.0.2.1"]);
        }
    }

    #[test]
    fn the_kernel_chooses_only_where_nothing_is_said() {
        let none = sources("").unwrap().towards([127, 0, 0, 1].into());
        assert!(none.unwrap().is_none());
        let other = sources("::1").unwrap().towards([127, 0, 0, 1].into());
        assert!(other.unwrap_err().to_string().contains("family"));
    }

    #[test]
    fn what_is_no_source() {
        for (text, part) in [
            ("localhost", "is not an IP address"),
            ("192.0.2.1:80", "is not an IP address"),
            ("192.0.2.0/24", "is not an IP address"),
            ("fe80::1%eth0", "is not an IP address"),
            ("0.0.0.0", "of one machine"),
            ("::", "of one machine"),
            ("255.255.255.255", "of one machine"),
            ("224.0.0.1", "of one machine"),
            ("ff02::1", "of one machine"),
            ("fe80::1", "one link"),
        ] {
            let error = sources(text).unwrap_err();
            assert!(error.contains(&format!("'{text}'")), "{error}");
            assert!(error.contains(part), "{error}");
        }
        assert!(Sources::parse(&[String::new()]).is_err());
    }
}
