//! Descriptors that the service manager keeps for us while we are not there: its store, sd_notify(3),
//! FDSTORE=1. The next run of the service gets them with its listening sockets: [`super::inherited`].
//!
//! The manager answers nothing, so we have to know how many it keeps, and never ask for more.

use std::env;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::fstat;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits;

/// Descriptors in an entry: the two sockets, and the memory that holds the session's state.
pub const EACH: usize = 3;

/// Where the manager listens.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Where the manager says how much it keeps; systemd does so from 254 on.
const SIZE: &str = "FDSTORE";

/// Where our units say so for a systemd before that.
const SIZE_BY_UNIT: &str = "FILE_DESCRIPTOR_STORE_MAX";

/// Systemd has it from 255 on. One that says nothing then keeps nothing, whatever our units say.
const NEWER: &str = "/usr/lib/systemd/systemd-executor";

/// The manager's store, as far as it is ours.
#[derive(Debug)]
pub struct Store {
    socket: UnixDatagram,
    places: Arc<Semaphore>,
    turn: Mutex<()>,
}

/// One session's turn to be kept.
#[derive(Debug)]
pub struct Turn<'s> {
    store: &'s Arc<Store>,
    _lock: MutexGuard<'s, ()>,
}

/// What a session's entry is called, all three descriptors of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The session's number.
    pub number: u64,
    /// The inode of the client's socket: the manager keeps no order.
    pub client: u64,
}

/// An entry in the store; dropping it takes it out.
#[derive(Debug)]
pub struct Stored {
    store: Arc<Store>,
    name: Name,
    /// None for one that was found beyond what there is room for.
    place: Option<OwnedSemaphorePermit>,
    stays: bool,
}

impl Name {
    /// Reads it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (number, client) = text.strip_prefix("session-")?.split_once('-')?;
        Some(Self {
            number: number.parse().ok()?,
            client: u64::from_str_radix(client, 16).ok()?,
        })
    }

    /// Whether this is the socket of the session's client.
    pub fn is_client(&self, socket: impl AsFd) -> bool {
        fstat(socket).is_ok_and(|it| it.st_ino == self.client)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session-{}-{:x}", self.number, self.client)
    }
}

impl Store {
    /// The store of the manager that has started us, if it has one with room for a session. Call it
    /// in the runtime.
    ///
    /// # Errors
    /// The manager's socket cannot be reached.
    pub fn find() -> io::Result<Option<Arc<Self>>> {
        match sessions() {
            0 => Ok(None),
            sessions => Self::with_room(sessions),
        }
    }

    /// The same without room for anything, to take out what an earlier run has had kept: the manager
    /// would have it for ever, and give it to each run. Call it in the runtime.
    #[must_use]
    pub fn to_empty() -> Option<Arc<Self>> {
        Self::with_room(0).unwrap_or_else(|error| {
            log::warn!("the service manager keeps the sessions of the process before: {error}");
            None
        })
    }

    fn with_room(sessions: usize) -> io::Result<Option<Arc<Self>>> {
        let Some(path) = env::var_os(NOTIFY_SOCKET) else {
            return Ok(None);
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect(Path::new(&path))?;
        let places = Arc::new(Semaphore::new(sessions));
        Ok(Some(Arc::new(Self {
            socket,
            places,
            turn: Mutex::default(),
        })))
    }

    /// Whether there is room for a session now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Returns when the manager listens: it may be reading its units anew, which takes seconds on a
    /// large machine. Of many sessions that wait for it one is woken, and they go on meanwhile.
    pub async fn turn(self: &Arc<Self>) -> Turn<'_> {
        let lock = self.turn.lock().await;
        // What is wrong with it is for who writes to find.
        let _ = self.socket.writable().await;
        Turn {
            store: self,
            _lock: lock,
        }
    }

    /// The entry of a session that an earlier run had kept.
    #[must_use]
    pub fn found(self: &Arc<Self>, name: Name) -> Stored {
        Stored {
            place: self.places.clone().try_acquire_owned().ok(),
            store: self.clone(),
            name,
            stays: false,
        }
    }

    async fn take_out(&self, name: Name) {
        let text = format!("FDSTOREREMOVE=1\nFDNAME={name}\n");
        let send = || self.send(&text, &[]);
        if let Err(error) = self.socket.async_io(Interest::WRITABLE, send).await {
            log::debug!("the service manager does not let go of {name}: {error}");
        }
    }

    fn send(&self, text: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(EACH))];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let text = [IoSlice::new(text.as_bytes())];
        sendmsg(
            self.socket.as_fd(),
            &text,
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }
}

impl Turn<'_> {
    /// Has a session's descriptors kept, its client's socket first.
    ///
    /// # Errors
    /// The kernel's: `WouldBlock` where the manager does not listen after all, and it is for the next
    /// turn. And that there is no room.
    pub fn keep(self, number: u64, descriptors: [BorrowedFd<'_>; EACH]) -> io::Result<Stored> {
        let places = self.store.places.clone();
        let place = places.try_acquire_owned().map_err(io::Error::other)?;
        let name = Name {
            number,
            client: fstat(descriptors[0])?.st_ino,
        };
        // Kept even when the other side has left: what it sent last is still in the socket.
        let text = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}\n");
        let send = || self.store.send(&text, &descriptors);
        self.store.socket.try_io(Interest::WRITABLE, send)?;
        Ok(Stored {
            place: Some(place),
            store: self.store.clone(),
            name,
            stays: false,
        })
    }
}

impl Stored {
    /// Takes it out, and returns when the manager has been told, or takes nothing in time.
    pub async fn remove(mut self) {
        let told = timeout(limits::STORE_TIME, self.store.take_out(self.name)).await;
        // Otherwise it is told once it can be.
        self.stays = told.is_ok();
    }

    /// Leaves the entry where it is, for the next run.
    pub fn leave(mut self) {
        self.stays = true;
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let runtime = match Handle::try_current() {
            Ok(runtime) if !self.stays => runtime,
            _ => return,
        };
        let (store, name, place) = (self.store.clone(), self.name, self.place.take());
        // The place is free once the manager has been told, and hears of the next entry after that.
        runtime.spawn(async move {
            store.take_out(name).await;
            drop(place);
        });
    }
}

/// Whether [`Store::find`] will find one, which is to be known before there is a runtime.
#[must_use]
pub fn is_there() -> bool {
    env::var_os(NOTIFY_SOCKET).is_some() && sessions() > 0
}

/// Sessions that fit in.
fn sessions() -> usize {
    let by_unit = || {
        env::var(SIZE_BY_UNIT)
            .ok()
            .filter(|_| !Path::new(NEWER).exists())
    };
    let size = env::var(SIZE).ok().or_else(by_unit);
    let descriptors: usize = size.and_then(|size| size.parse().ok()).unwrap_or(0);
    (descriptors / EACH).min(limits::STORED_SESSIONS)
}

#[cfg(test)]
mod tests {
    use super::{EACH, Name};
    use crate::limits;

    #[test]
    fn entries_are_known_by_their_names() {
        let name = Name {
            number: 17,
            client: 0x1a2b,
        };
        assert_eq!(name.to_string(), "session-17-1a2b");
        assert_eq!(Name::parse("session-17-1a2b"), Some(name));
        for text in ["session-", "session-17", "session-1a-2", "web", "unknown"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    /// execve(2) takes no string of more than 128 KiB: with a longer list of names the service could
    /// not start any more.
    #[test]
    fn all_names_fit_into_one_variable() {
        let longest = Name {
            number: 9_999_999_999,
            // The kernel counts these in 32 bits.
            client: u32::MAX.into(),
        };
        let stored = limits::STORED_SESSIONS * EACH * (longest.to_string().len() + 1);
        let listeners = 16 * 256;
        assert!(stored + listeners < 128 * 1024);
    }

    #[test]
    fn the_unit_says_how_much_is_kept_also_before_systemd_254() {
        let unit = include_str!("../../systemd/websockify@.service");
        let value = |key: &str| {
            let found = unit.split_whitespace().find_map(|it| it.strip_prefix(key));
            found.map(|it| it.split(':').next().unwrap().parse::<usize>().unwrap())
        };
        let kept = value("FileDescriptorStoreMax=");
        assert_eq!(kept.map(|it| it / EACH), Some(limits::STORED_SESSIONS));
        assert_eq!(value("Environment=FILE_DESCRIPTOR_STORE_MAX="), kept);
        // With fewer, systemd cannot start the process that is to have them.
        assert!(value("LimitNOFILE=") > kept.map(|it| it + 256));
    }
}
