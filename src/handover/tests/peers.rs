//! The two ends of a session, in the hands of a test, and the relay between them.

use std::future::pending;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Blocking;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::entry;
use crate::handover::keep::Keep;
use crate::handover::lost::Lost;
use crate::handover::state::{STILL, State};
use crate::limits;
use crate::log::Summary;
use crate::record::Recording;
use crate::relay::{Client, Outcome, Relay, Settings, Snapshot};
use crate::stream::{Socket, Stream};
use crate::websocket::framing::Framing;

/// So little room that a few kilobytes stall either way.
const ROOM: usize = 4096;

pub(super) const SETTINGS: Settings = Settings {
    heartbeat: None,
    traffic: false,
};

/// One end: what it has yet to say, and what it has heard.
pub(super) struct End {
    socket: UnixStream,
    pub(super) unsaid: Vec<u8>,
    pub(super) heard: Vec<u8>,
    pub(super) over: bool,
}

/// What the service manager's store holds: descriptors that outlive any relay.
pub(super) struct Store {
    client: OwnedFd,
    target: OwnedFd,
    state: OwnedFd,
}

/// A session between two ends of ours, kept.
pub(super) fn session(framing: Framing, early: &[u8]) -> (End, End, Store, Relay) {
    session_by(framing, early, SETTINGS, None)
}

pub(super) fn session_by(
    framing: Framing,
    early: &[u8],
    settings: Settings,
    recording: Option<Recording>,
) -> (End, End, Store, Relay) {
    let (client, theirs) = End::new();
    let (target, its) = End::new();
    let keep = Keep::new(entry()).unwrap();
    let store = Store {
        state: keep.as_fd().try_clone_to_owned().unwrap(),
        client: theirs,
        target: its,
    };
    let (stream, to) = store.streams();
    let joined = Client {
        stream,
        early: Bytes::copy_from_slice(early),
        framing,
        recording: recording.map(Box::new),
    };
    let mut relay = Relay::new(joined, to, settings, keep.entry().tally.clone());
    relay.keep(keep).unwrap();
    (client, target, store, relay)
}

impl Store {
    pub(super) fn streams(&self) -> (Stream, Stream) {
        let stream = |it: &OwnedFd| {
            let socket = Socket::try_from(it.try_clone().unwrap()).unwrap();
            Stream::Plain(socket)
        };
        (stream(&self.client), stream(&self.target))
    }

    /// Whether the state says that it is true.
    pub(super) fn is_still(&self) -> bool {
        let mut mark = [0; 8];
        rustix::io::pread(&self.state, &mut mark, 0).unwrap();
        mark == STILL
    }

    pub(super) fn state(&self) -> OwnedFd {
        self.state.try_clone().unwrap()
    }

    /// What is written down, if it says that it is true.
    pub(super) fn saved(&self) -> Option<Snapshot> {
        let mut bytes = vec![0; limits::SESSION_STATE];
        rustix::io::pread(&self.state, &mut *bytes, 0).unwrap();
        State::decode(&bytes).ok().map(|state| state.relay)
    }

    /// What the next process does.
    pub(super) fn resume(&self, settings: Settings) -> Result<Relay, Lost> {
        let (state, keep) = Keep::reopen(self.state())?;
        let streams = self.streams();
        Ok(Relay::resume(state.relay, streams, settings, None, keep))
    }
}

/// A session of which there is nothing yet but a state.
pub(super) struct Scattered {
    pub(super) client: End,
    pub(super) target: End,
    pub(super) store: Store,
}

impl Scattered {
    pub(super) fn new(state: &[u8]) -> Self {
        let (client, theirs) = End::new();
        let (target, its) = End::new();
        let keep = Keep::new(entry()).unwrap();
        let size = rustix::io::pwrite(&keep, state, 0).unwrap();
        assert_eq!(size, state.len());
        let store = Store {
            state: keep.as_fd().try_clone_to_owned().unwrap(),
            client: theirs,
            target: its,
        };
        Self {
            client,
            target,
            store,
        }
    }

    /// Both ends hear all there is, until the session is over.
    pub(super) async fn hear_all(&mut self, relay: &mut Relay) -> Summary {
        loop {
            let over = {
                let (told, leave) = (pin!(pending()), pin!(pending()));
                tokio::select! {
                    over = relay.run(told, leave) => Some(over),
                    () = rest() => None,
                }
            };
            self.client.listen(1 << 16);
            self.target.listen(1 << 16);
            match over {
                Some(Outcome::Over(summary)) => return summary,
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
    }
}

/// Runs the relay, a moment at a time, until it is so. What never is fails, and does not hang.
pub(super) async fn run_until(relay: &mut Relay, what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if is() {
            return;
        }
        let (told, leave) = (pin!(pending()), pin!(pending()));
        let turn = timeout(Duration::from_millis(1), relay.run(told, leave));
        assert!(turn.await.is_err(), "it lives");
    }
    panic!("never: {what}");
}

/// Enough turns for all that is in the sockets.
pub(super) async fn rest() {
    for _ in 0..32 {
        yield_now().await;
    }
}

impl End {
    fn new() -> (Self, OwnedFd) {
        let (ours, theirs) = Blocking::pair().unwrap();
        for socket in [&ours, &theirs] {
            socket.set_nonblocking(true).unwrap();
            let room = socket2::SockRef::from(socket).set_send_buffer_size(ROOM);
            room.unwrap();
        }
        let end = Self {
            socket: UnixStream::from_std(ours).unwrap(),
            unsaid: Vec::new(),
            heard: Vec::new(),
            over: false,
        };
        (end, theirs.into())
    }

    /// Says what there is room for, of what it has to say.
    pub(super) fn speak(&mut self) {
        while !self.unsaid.is_empty() {
            match rustix::io::write(&self.socket, &self.unsaid) {
                Ok(size) => drop(self.unsaid.drain(..size)),
                Err(error) if error == rustix::io::Errno::AGAIN => return,
                // Nobody reads it any more.
                Err(_) => self.unsaid.clear(),
            }
        }
    }

    /// Hears at most so many bytes.
    pub(super) fn listen(&mut self, most: usize) {
        let mut room = vec![0; most];
        match rustix::io::read(&self.socket, &mut *room) {
            Ok(0) => self.over = true,
            Ok(size) => self.heard.extend_from_slice(&room[..size]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.over = true,
        }
    }

    /// Says no more.
    pub(super) fn end(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
    }
}
