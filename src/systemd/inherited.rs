//! Sockets that systemd (or systemfd, or systemd-socket-activate) passes at start.

use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::error::Failure;

/// A listening socket that was open before we were.
#[derive(Debug)]
pub struct Inherited {
    /// The socket.
    pub socket: OwnedFd,
    /// Its name in `LISTEN_FDNAMES`, or `unknown` as systemd has it.
    pub name: String,
}

impl Inherited {
    /// The TCP port that it listens on.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let address = SockRef::from(&self.socket).local_addr().ok()?;
        address.as_socket().map(|address| address.port())
    }
}

/// Takes every listening socket that was passed. Call it before there are threads: it clears the
/// variables, so that a child does not take them for its own.
///
/// A descriptor that does not listen is no door for clients: it may be one that an earlier run
/// stored with the manager. It is left out, and said so.
///
/// # Errors
/// A datagram socket: the socket unit says something that we cannot serve.
pub fn take() -> Result<Vec<Inherited>, Failure> {
    // listenfd clears LISTEN_PID and LISTEN_FDS, so the names are read first.
    let names: Vec<String> = sd_notify::listen_fds_with_names()
        .map(|all| all.map(|(_, name)| name).collect())
        .unwrap_or_default();
    let mut passed = ListenFd::from_env();
    let mut taken = Vec::new();
    for index in 0..passed.len() {
        let name = names
            .get(index)
            .map_or("unknown", String::as_str)
            .to_owned();
        match take_stream(&mut passed, index) {
            Some(socket) if SockRef::from(&socket).is_listener().unwrap_or(false) => {
                taken.push(Inherited { socket, name });
            }
            None if is_datagram(&mut passed, index) => {
                return Err(Failure::start(format!(
                    "inherited socket '{name}' is a datagram socket: \
                     use ListenStream= in the socket unit"
                )));
            }
            _ => log::warn!("inherited descriptor '{name}' does not listen: left out"),
        }
    }
    Ok(taken)
}

fn take_stream(passed: &mut ListenFd, index: usize) -> Option<OwnedFd> {
    // Each attempt leaves the descriptor in place when its kind does not match.
    if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
        return Some(socket.into());
    }
    if let Ok(Some(socket)) = passed.take_unix_listener(index) {
        return Some(socket.into());
    }
    None
}

fn is_datagram(passed: &mut ListenFd, index: usize) -> bool {
    matches!(passed.take_udp_socket(index), Ok(Some(_)))
        || matches!(passed.take_unix_datagram(index), Ok(Some(_)))
}
