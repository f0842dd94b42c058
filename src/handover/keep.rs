//! A live session's state in a memfd, so that it outlives the process also where that ends without
//! a word.
//!
//! What is written there is true or says that it is not: before bytes move that move the session
//! on, a mark is put on it, and it is written anew once nothing has moved for
//! [`limits::STATE_SETTLED`]. So a session that is at rest can always be resumed, one that is busy
//! costs a few hundred system calls in a second at the most, and none is resumed wrongly.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, ftruncate,
    memfd_create,
};
use rustix::io::{pread, pwrite};
use tokio::time::{Instant, Sleep, sleep};

use super::lost::Lost;
use super::state::{
    self, Frame, HEAD, MOVING, Mark, OVER, SPOKEN, STILL, State, TRIED, Unreadable,
};
use crate::limits;
use crate::relay::Snapshot;
use crate::server::ledger::Entry;

/// Nobody can make it smaller, which would be a SIGBUS or an end of file to whoever reads it, nor
/// larger, nor change that.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// What of a memfd is never given back to the kernel.
const PAGE: usize = 4096;

/// Keeps one session's state.
#[derive(Debug)]
pub struct Keep {
    file: OwnedFd,
    entry: Arc<Entry>,
    /// What stands in the file.
    mark: Mark,
    /// Why nothing may move before it is let go.
    fault: Option<io::Error>,
    /// Whether something has moved since the timer was set.
    moved: bool,
    /// There while the state waits to be written.
    timer: Option<Pin<Box<Sleep>>>,
    /// How long the last state was.
    size: usize,
    /// Whether it says where the session is recorded.
    recorded: bool,
}

impl Keep {
    /// Makes an empty one; see [`crate::relay::Relay::keep`].
    ///
    /// # Errors
    /// The kernel's: as a rule there are too many open files.
    pub fn new(entry: Arc<Entry>) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create(c"websockify-session", flags)?;
        ftruncate(&file, limits::SESSION_STATE as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(Self {
            file,
            entry,
            mark: MOVING,
            fault: None,
            moved: false,
            timer: None,
            size: 0,
            recorded: false,
        })
    }

    /// Takes over what an earlier process kept.
    ///
    /// # Errors
    /// Why its session cannot go on, and what is left to do for it.
    pub fn reopen(file: OwnedFd) -> Result<(State, Self), Lost> {
        let bytes = read(&file).map_err(Lost::unknown)?;
        let frame = Frame::parse(&bytes).map_err(Lost::unknown)?;
        let tried = match frame.mark {
            STILL => 0,
            OVER => return Err(Lost::of(&frame, file, Unreadable::Over)),
            mark => match TRIED.iter().position(|it| *it == mark) {
                Some(before) => before + 1,
                None => return Err(Lost::of(&frame, file, Unreadable::Moving)),
            },
        };
        let Some(&mark) = TRIED.get(tried) else {
            return Err(Lost::of(&frame, file, Unreadable::Fatal));
        };
        // Before it is looked at any closer: that may end us.
        if let Err(error) = write(&file, &mark, 0) {
            return Err(Lost::of(&frame, file, error.into()));
        }
        let state = match frame.state() {
            Ok(state) => state,
            Err(why) => return Err(Lost::of(&frame, file, why)),
        };
        let keep = Self {
            file,
            entry: state.entry.clone(),
            // So it is written anew at once.
            mark,
            fault: None,
            moved: false,
            timer: None,
            size: bytes.len(),
            recorded: state.relay.recording.is_some(),
        };
        Ok((state, keep))
    }

    /// From now on nothing can be written down.
    #[cfg(test)]
    pub(crate) fn break_file(&mut self) {
        self.file = std::fs::File::open("/dev/null").unwrap().into();
    }

    /// The session's line in the ledger.
    #[must_use]
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Writes the state down: from now on it is true.
    ///
    /// # Errors
    /// The kernel's, or that it is too large: it is not true then.
    pub(crate) fn save(&mut self, relay: Snapshot) -> io::Result<()> {
        self.timer = None;
        if TRIED.contains(&self.mark) {
            // It is as it was found. Who kills us now finds it either way.
            write(&self.file, &STILL, 0)?;
            self.mark = STILL;
            return Ok(());
        }
        self.mark(MOVING)?;
        let entry = self.entry.clone();
        let recorded = relay.recording.is_some();
        let bytes = State { entry, relay }.encode()?;
        // One that was larger has said so already; a page is not worth the call.
        if self.size > bytes.len().max(PAGE) {
            let from = bytes.len().next_multiple_of(PAGE) as u64;
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let length = limits::SESSION_STATE as u64 - from;
            fallocate(&self.file, hole, from, length)?;
        }
        // The mark comes last: where this is cut short, nothing says that it is true.
        write(&self.file, &bytes[size_of::<Mark>()..], size_of::<Mark>())?;
        write(&self.file, &STILL, 0)?;
        self.mark = STILL;
        self.size = bytes.len();
        self.recorded = recorded;
        Ok(())
    }

    /// The session is over. Before its sockets are closed: whoever finds its state has nothing to do.
    pub(crate) fn end(&self) {
        // Where that fails it is taken for one that was under way, and its sockets are shut already.
        let _ = write(&self.file, &OVER, 0);
    }

    /// Bytes are about to move, to the client if it is `spoken` to. Says whether they may: not where
    /// that cannot be written down, for then the next process would go on from what is not true.
    #[must_use]
    pub(crate) fn moves(&mut self, spoken: bool) -> bool {
        self.moved = true;
        if let Err(error) = self.mark(if spoken { SPOKEN } else { MOVING }) {
            // The page is there, so it takes a broken disk beneath the swap to come here.
            self.fault = Some(error);
        }
        self.fault.is_none()
    }

    /// Puts a mark on what was written, unless it has one that says more.
    fn mark(&mut self, mark: Mark) -> io::Result<()> {
        if self.mark != SPOKEN && self.mark != mark {
            write(&self.file, &mark, 0)?;
            self.mark = mark;
        }
        Ok(())
    }

    /// Why it cannot be kept any more, if there is a reason.
    pub(crate) fn fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    /// Whether what was written last is true.
    pub(crate) fn is_still(&self) -> bool {
        self.mark == STILL
    }

    /// Whether it says where the session is recorded.
    pub(crate) fn knows_recording(&self) -> bool {
        self.recorded
    }

    /// Ready when the state is to be written: nothing has moved for a while since it was true.
    pub(crate) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pieces = u32::try_from(1 + self.size / limits::STATE_PIECE).unwrap_or(1);
        let settled = if TRIED.contains(&self.mark) {
            limits::STATE_PROVEN
        } else {
            limits::STATE_SETTLED * pieces
        };
        loop {
            let timer = self.timer.get_or_insert_with(|| {
                self.moved = false;
                Box::pin(sleep(settled))
            });
            ready!(timer.as_mut().poll(cx));
            if !self.moved {
                return Poll::Ready(());
            }
            self.moved = false;
            timer.as_mut().reset(Instant::now() + settled);
        }
    }
}

impl AsFd for Keep {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Writes all of it at its place.
pub(super) fn write(file: &OwnedFd, mut bytes: &[u8], mut at: usize) -> io::Result<()> {
    while !bytes.is_empty() {
        match pwrite(file, bytes, at as u64)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            size => {
                bytes = &bytes[size..];
                at += size;
            }
        }
    }
    Ok(())
}

/// Reads a state out of what should be a file of ours.
fn read(file: &OwnedFd) -> Result<Vec<u8>, Unreadable> {
    // A descriptor of another kind has none.
    let seals = fcntl_get_seals(file).map_err(|_| Unreadable::Damaged)?;
    if !seals.contains(SEALS) {
        return Err(Unreadable::Damaged);
    }
    let mut head = [0; HEAD];
    fill(file, &mut head, 0)?;
    let mut bytes = vec![0; state::size(&head)?];
    bytes[..HEAD].copy_from_slice(&head);
    fill(file, &mut bytes[HEAD..], HEAD)?;
    Ok(bytes)
}

fn fill(file: &OwnedFd, mut room: &mut [u8], mut at: usize) -> Result<(), Unreadable> {
    while !room.is_empty() {
        match pread(file, &mut *room, at as u64).map_err(io::Error::from)? {
            0 => return Err(Unreadable::Damaged),
            size => {
                room = &mut room[size..];
                at += size;
            }
        }
    }
    Ok(())
}
