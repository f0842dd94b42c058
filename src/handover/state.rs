//! Everything that a live session is besides its sockets, as bytes.
//!
//! The frame around it never changes, so that also a program that does not know the version can
//! part from the client in good order: a mark, the version, the lengths of five sections, a
//! checksum, the sections. The first is JSON, and all that a version means; then come bytes as they
//! are: those that came with the request and wait to be decoded, those for the target, those for the
//! client, and the last words for a client whose session cannot go on.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::relay::Snapshot;
use crate::server::ledger::Entry;

/// The last version that we know; we read all before it, too. A state is written in the first that can
/// say all of it: an older program goes on with as many sessions as it can.
pub const VERSION: u32 = 2;

/// Says that what follows is true: nothing has moved since it was written.
pub(super) const STILL: Mark = *b"wsstill\n";

/// The same, where so many processes have gone on with it and none has come so far as to write it
/// anew: they may have ended by what it says.
pub(super) const TRIED: [Mark; limits::STATE_ATTEMPTS] = [
    *b"wstried1",
    *b"wstried2",
    *b"wstried3",
    *b"wstried4",
    *b"wstried5",
    *b"wstried6",
    *b"wstried7",
    *b"wstried8",
    *b"wstried9",
];

/// Bytes may have moved since, but none to the client.
pub(super) const MOVING: Mark = *b"wsmoved\n";

/// The client may have been sent something since.
pub(super) const SPOKEN: Mark = *b"wsspoke\n";

/// The session is over: whoever finds it has nothing to do.
pub(super) const OVER: Mark = *b"wsended\n";

/// What stands before all else.
pub(super) type Mark = [u8; 8];

/// JSON, three kinds of bytes that wait, last words.
const SECTIONS: usize = 5;

const LENGTHS: usize = size_of::<Mark>() + size_of::<u32>();
const CHECKSUM: usize = LENGTHS + SECTIONS * size_of::<u32>();

/// The size of what stands before the sections.
pub(super) const HEAD: usize = CHECKSUM + 32;

/// A live session.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Its line in the ledger, with the bytes that it has moved.
    pub entry: Arc<Entry>,
    /// Its relay.
    pub relay: Snapshot,
}

/// Why a state cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The process ended in the middle of something.
    #[error("the process ended while its bytes were on their way")]
    Moving,
    /// Nobody has come far with it.
    #[error("{} processes have ended while they took it over", TRIED.len())]
    Fatal,
    /// The session had ended.
    #[error("it was over")]
    Over,
    /// Another program wrote it.
    #[error("its state is of version {0}, and this program knows none above {VERSION}")]
    Version(u32),
    /// It is not what was written, or never was a state.
    #[error("its state is damaged")]
    Damaged,
    /// The kernel's.
    #[error("its state cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl State {
    /// The state as bytes.
    ///
    /// # Errors
    /// It is larger than [`limits::SESSION_STATE`].
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let Snapshot {
            early,
            to_target,
            to_client,
            last_words,
            ..
        } = &self.relay;
        let sections: [&[u8]; SECTIONS] = [&json, early, to_target, to_client, last_words];
        let size = sections.iter().map(|it| it.len()).sum::<usize>() + HEAD;
        if size > limits::SESSION_STATE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&STILL);
        bytes.extend_from_slice(&self.relay.version().to_le_bytes());
        for section in sections {
            let length = u32::try_from(section.len()).map_err(io::Error::other)?;
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(&[0; 32]);
        for section in sections {
            bytes.extend_from_slice(section);
        }
        let sum = checksum(&bytes);
        bytes[CHECKSUM..HEAD].copy_from_slice(&sum);
        Ok(bytes)
    }

    /// Reads what [`Self::encode`] wrote, whatever stands behind it.
    ///
    /// # Errors
    /// Why nobody can go on with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let frame = Frame::parse(bytes)?;
        if frame.mark != STILL {
            return Err(Unreadable::Moving);
        }
        frame.state()
    }
}

/// The part that every version has.
pub(super) struct Frame<'b> {
    pub(super) mark: Mark,
    version: u32,
    sections: [&'b [u8]; SECTIONS],
}

impl<'b> Frame<'b> {
    /// Reads it and holds it against its checksum.
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Self, Unreadable> {
        let head = bytes.first_chunk::<HEAD>().ok_or(Unreadable::Damaged)?;
        let ends = ends(head)?;
        let whole = bytes.get(..ends[SECTIONS - 1]).ok_or(Unreadable::Damaged)?;
        if head[CHECKSUM..] != checksum(whole) {
            return Err(Unreadable::Damaged);
        }
        let mark = *head.first_chunk().ok_or(Unreadable::Damaged)?;
        if ![STILL, MOVING, SPOKEN, OVER].contains(&mark) && !TRIED.contains(&mark) {
            return Err(Unreadable::Damaged);
        }
        let mut begin = HEAD;
        let sections = ends.map(|end| {
            let section: Range<usize> = begin..end;
            begin = end;
            &whole[section]
        });
        Ok(Self {
            mark,
            version: number(head, size_of::<Mark>()),
            sections,
        })
    }

    /// What it says, by its version.
    pub(super) fn state(&self) -> Result<State, Unreadable> {
        if self.version == 0 || self.version > VERSION {
            return Err(Unreadable::Version(self.version));
        }
        let [json, early, to_target, to_client, last_words] = self.sections;
        let mut state: State = serde_json::from_slice(json).map_err(|_| Unreadable::Damaged)?;
        state.relay.early = early.to_vec();
        state.relay.to_target = to_target.to_vec();
        state.relay.to_client = to_client.to_vec();
        state.relay.last_words = last_words.to_vec();
        if !state.relay.is_sound() {
            return Err(Unreadable::Damaged);
        }
        Ok(state)
    }

    /// Whose session it is, if that much can be read whatever the version.
    pub(super) fn entry(&self) -> Option<Entry> {
        #[derive(Deserialize)]
        struct OnlyEntry {
            entry: Entry,
        }
        let only: OnlyEntry = serde_json::from_slice(self.sections[0]).ok()?;
        Some(only.entry)
    }

    /// Whether the kernel does TLS on the client's socket, if that much can be read.
    pub(super) fn client_tls(&self) -> bool {
        #[derive(Deserialize)]
        struct OnlyTls {
            client_tls: bool,
        }
        #[derive(Deserialize)]
        struct OnlyRelay {
            relay: OnlyTls,
        }
        serde_json::from_slice(self.sections[0]).is_ok_and(|it: OnlyRelay| it.relay.client_tls)
    }

    /// What the client is to be sent before its connection ends: what waits for it, so that no frame
    /// is left open, and our goodbye.
    pub(super) fn farewell(&self) -> Vec<u8> {
        [self.sections[3], self.sections[4]].concat()
    }
}

/// How many bytes a state has, by its first.
pub(super) fn size(head: &[u8; HEAD]) -> Result<usize, Unreadable> {
    ends(head).map(|ends| ends[SECTIONS - 1])
}

/// Where each section ends.
fn ends(head: &[u8; HEAD]) -> Result<[usize; SECTIONS], Unreadable> {
    let mut ends = [HEAD; SECTIONS];
    let mut end = HEAD;
    for (section, at) in ends.iter_mut().enumerate() {
        let length = number(head, LENGTHS + section * size_of::<u32>());
        end = end.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if end > limits::SESSION_STATE {
            return Err(Unreadable::Damaged);
        }
        *at = end;
    }
    Ok(ends)
}

fn number(head: &[u8; HEAD], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&head[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// Makes the checksum right, so that what is wrong is found by what it says.
#[cfg(any(test, fuzzing))]
pub(super) fn refit(bytes: &mut [u8]) {
    let head = bytes.first_chunk().and_then(|head| size(head).ok());
    if let Some(whole) = head.and_then(|size| bytes.get_mut(..size)) {
        let sum = checksum(whole);
        whole[CHECKSUM..HEAD].copy_from_slice(&sum);
    }
}

/// What `fuzz/` feeds: a state as it is, and the same with a checksum that is right.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let _ = State::decode(data);
    let mut bytes = data.to_vec();
    refit(&mut bytes);
    if let Ok(state) = State::decode(&bytes) {
        let _ = state.encode();
        state.relay.fuzz();
    }
}

/// Of all but the mark, which changes alone, and the checksum itself.
fn checksum(bytes: &[u8]) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(&bytes[size_of::<Mark>()..CHECKSUM]);
    sum.update(&bytes[HEAD..]);
    sum.finish()
}
