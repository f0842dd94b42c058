//! Where an instance listens, as its socket unit can be told.

use std::net::IpAddr;

use super::Instance;
use crate::error::Failure;
use crate::target::{parse_port, split_host_port};

/// A place that systemd can listen at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listening {
    /// A port of every address.
    Port(u16),
    /// A port of one address.
    Address(IpAddr, u16),
    /// A Unix socket.
    Unix(String),
}

impl Listening {
    /// What `WEBSOCKIFY_LISTEN` or `WEBSOCKIFY_UNIX_LISTEN` says, or else the instance's name.
    pub(super) fn of(instance: &Instance) -> Result<Self, Failure> {
        let path = instance.path.display();
        let given = [
            instance.value("WEBSOCKIFY_LISTEN"),
            instance.value("WEBSOCKIFY_UNIX_LISTEN"),
        ];
        match given {
            [None, None] => match parse_port(&instance.name) {
                Some(port @ 1..) => Ok(Self::Port(port)),
                _ => Err(Failure::start(format!(
                    "{path} does not say where to listen, and '{}' is no port: add a line \
                     WEBSOCKIFY_LISTEN=, with a port, address:port or a path",
                    instance.name
                ))),
            },
            [Some(text), None] | [None, Some(text)] => Self::parse(text).ok_or_else(|| {
                Failure::start(format!(
                    "{path}: WEBSOCKIFY_LISTEN={text} is neither a port, address:port nor a path \
                     (systemd listens, and it takes no host names)"
                ))
            }),
            [Some(_), Some(_)] => Err(Failure::start(format!(
                "{path}: WEBSOCKIFY_LISTEN and WEBSOCKIFY_UNIX_LISTEN exclude each other"
            ))),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-@+".contains(&byte);
            return text.bytes().all(plain).then(|| Self::Unix(text.to_owned()));
        }
        let (host, port) = split_host_port(text).unwrap_or(("", text));
        let port = parse_port(port).filter(|port| *port > 0)?;
        match host {
            "" | "*" => Some(Self::Port(port)),
            "localhost" => Some(Self::Address([127, 0, 0, 1].into(), port)),
            _ => host.parse().ok().map(|ip| Self::Address(ip, port)),
        }
    }

    /// The value of `ListenStream=` (systemd.socket(5)).
    pub(super) fn stream(&self) -> String {
        match self {
            Self::Port(port) => port.to_string(),
            Self::Address(IpAddr::V4(ip), port) => format!("{ip}:{port}"),
            Self::Address(IpAddr::V6(ip), port) => format!("[{ip}]:{port}"),
            Self::Unix(path) => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listening;

    #[test]
    fn what_systemd_can_listen_at() {
        for (text, stream) in [
            ("6080", Some("6080")),
            (":6080", Some("6080")),
            ("192.0.2.1:6080", Some("192.0.2.1:6080")),
            ("[2001:db8::1]:6080", Some("[2001:db8::1]:6080")),
            ("localhost:6080", Some("127.0.0.1:6080")),
            ("/run/vnc.sock", Some("/run/vnc.sock")),
            ("desk:6080", None),
            ("0", None),
            ("70000", None),
            ("/run/a b", None),
            ("/run/%i", None),
            ("6080\nExecStartPre=/bin/sh", None),
        ] {
            let listening = Listening::parse(text);
            assert_eq!(listening.map(|it| it.stream()).as_deref(), stream, "{text}");
        }
    }
}
