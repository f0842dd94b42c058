//! One session's way: the target, and how to go there.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::log::escape::Escaped;
use crate::proxy_protocol::ProxyVersion;
use crate::target::Target;

/// Where a session goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The service at its end.
    pub target: Target,
    /// Whether TLS is spoken to the target; `None` as `--ssl-target` says.
    pub tls: Option<bool>,
    /// How the target is told whom a session is from; `None` as `--proxy-protocol` says.
    pub proxy: Option<ProxyVersion>,
    /// What the log calls it instead of by the target's address.
    pub name: Option<Box<str>>,
    /// The session ends then.
    pub until: Option<SystemTime>,
}

impl Route {
    /// The way to a target, with nothing else said.
    #[must_use]
    pub fn to(target: Target) -> Self {
        Self {
            target,
            tls: None,
            proxy: None,
            name: None,
            until: None,
        }
    }

    /// Reads what tokens stand for: `host:port`, `[v6]:port`, `v6:port` or `unix_socket:/path`.
    ///
    /// # Errors
    /// What is wrong, without the text: it may hold a token that strayed into it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NO_TARGET: &str = "the target is not host:port, [v6]:port or unix_socket:/path";
        let target = match text.strip_prefix("unix_socket:") {
            Some(path) if path.starts_with('/') && !path.contains('\0') => {
                Target::Unix(path.into())
            }
            Some(_) => return Err("unix_socket: needs an absolute path"),
            None if text.contains(|it: char| it.is_whitespace() || it.is_control()) => {
                return Err(NO_TARGET);
            }
            None => match Target::parse(text) {
                Ok(Target::Tcp { host, .. }) if !is_host(&host) => return Err(NO_TARGET),
                parsed => parsed.map_err(|_| NO_TARGET)?,
            },
        };
        Ok(Self::to(target))
    }
}

/// Whether it may be one: brackets are off by now, and colons are in IPv6 addresses only, of which
/// a link-local one may name its link.
fn is_host(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or_default();
    !text.contains(['[', ']']) && (!text.contains(':') || address.parse::<Ipv6Addr>().is_ok())
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => Escaped(name).fmt(f),
            None => Escaped(&self.target.to_string()).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn what_tokens_stand_for() {
        for (text, shown) in [
            ("h:5900", "h:5900"),
            ("[2001:db8::1]:5900", "[2001:db8::1]:5900"),
            ("2001:db8::1:5900", "[2001:db8::1]:5900"),
            ("[fe80::1%eth0]:5900", "[fe80::1%eth0]:5900"),
            ("unix_socket:/run/vm 1.sock", "unix:/run/vm 1.sock"),
        ] {
            assert_eq!(Route::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "h",
            "h:",
            "h:0",
            "h:70000",
            "h:80 # vm",
            "a: h:80",
            "h\n:80",
            "[[]]:1",
            "h:1:2",
            "[::1:5900",
            "unix_socket:",
            "unix_socket:run/vm",
            "unix_socket:/a\0b",
        ] {
            assert!(Route::parse(text).is_err(), "{text}");
        }
    }
}
