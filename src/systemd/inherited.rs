//! What systemd (or systemfd, or systemd-socket-activate) passes at start: listening sockets, and
//! what an earlier run of this service has stored with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use listenfd::ListenFd;
use socket2::SockRef;

use super::store::Name;
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

/// What an earlier run of this service has left with the manager under one name.
#[derive(Debug)]
pub struct Left {
    /// That name.
    pub name: Name,
    /// The client's socket.
    pub client: Option<OwnedFd>,
    /// The target's.
    pub target: Option<OwnedFd>,
    /// The session's state.
    pub state: Option<File>,
}

/// All that was passed.
#[derive(Debug, Default)]
pub struct Passed {
    /// Doors for clients.
    pub listening: Vec<Inherited>,
    /// Sessions, in the order of their numbers.
    pub left: Vec<Left>,
}

/// Takes everything that was passed. Call it before there are threads: it clears the variables, so
/// that a child does not take them for its own.
///
/// Any other descriptor is no door for clients: it is left out, and said so.
///
/// # Errors
/// A datagram socket: the socket unit says something that we cannot serve.
pub fn take() -> Result<Passed, Failure> {
    // listenfd clears LISTEN_PID and LISTEN_FDS, so the names are read first.
    let names: Vec<String> = sd_notify::listen_fds_with_names()
        .map(|all| all.map(|(_, name)| name).collect())
        .unwrap_or_default();
    let mut passed = ListenFd::from_env();
    let (mut listening, mut left) = (Vec::new(), BTreeMap::new());
    for index in 0..passed.len() {
        let name = names
            .get(index)
            .map_or("unknown", String::as_str)
            .to_owned();
        let socket = take_stream(&mut passed, index);
        let is_listener = |socket: &OwnedFd| SockRef::from(socket).is_listener().unwrap_or(false);
        match (socket, Name::parse(&name)) {
            (Some(socket), _) if is_listener(&socket) => listening.push(Inherited { socket, name }),
            (socket, Some(name)) => {
                let left = left.entry(name).or_insert_with(|| Left {
                    name,
                    client: None,
                    target: None,
                    state: None,
                });
                match socket {
                    Some(socket) if name.is_client(&socket) => left.client = Some(socket),
                    Some(socket) => left.target = Some(socket),
                    None => left.state = take_memory(&mut passed, index),
                }
            }
            (None, None) if is_datagram(&mut passed, index) => {
                return Err(Failure::start(format!(
                    "inherited socket '{name}' is a datagram socket: \
                     use ListenStream= in the socket unit"
                )));
            }
            _ => log::warn!("inherited descriptor '{name}' does not listen: left out"),
        }
    }
    Ok(Passed {
        listening,
        left: left.into_values().collect(),
    })
}

/// A file in memory, opened anew: from a bare number nothing that closes itself can be made safely.
fn take_memory(passed: &mut ListenFd, index: usize) -> Option<File> {
    let number = passed.take_raw_fd(index).ok().flatten()?;
    let path = format!("/proc/self/fd/{number}");
    let is_memory = fs::read_link(&path)
        .is_ok_and(|leads_to| leads_to.as_os_str().as_bytes().starts_with(b"/memfd:"));
    let opened = File::options().read(true).write(true).open(&path);
    let _ = nix::unistd::close(number);
    opened.ok().filter(|_| is_memory)
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
