//! A stream from the target that goes to the client without a copy: by splice(2), which moves pages
//! from socket to socket through a pipe.
//!
//! The pipe is the thread's, and empty between two polls, so that a session owns no descriptor more
//! than its two, and all that waits in it is bytes that another process can have.

use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::net::{SendFlags, send};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use super::Relay;
use super::kept::Kept;
use super::pump::CHUNK;
use crate::limits;
use crate::log::traffic;
use crate::stream::Stream;
use crate::websocket::frame::{self, LONGEST_SENT, Opcode};
use crate::websocket::framing::Framing;

thread_local! {
    static PIPE: RefCell<Option<Pipe>> = const { RefCell::new(None) };
}

/// Room that it asks the kernel for: 64 pieces. A piece of a few bytes holds a whole page, which the client's
/// socket does not count, so there may not be many of those.
const ROOM: usize = limits::CHUNK;

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Relay {
    /// Whether bytes go from the target to the client as they are, and nobody else looks at them.
    pub(super) fn can_splice(&self) -> bool {
        self.framing == Framing::Binary
            && self.recording.is_none()
            && matches!(self.client, Stream::Plain(_))
            && matches!(self.target, Some(Stream::Plain(_)))
    }

    /// Moves what the target has sent into one frame to the client.
    pub(super) fn splice_down(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        PIPE.with_borrow_mut(|slot| {
            let Ok(pipe) = slot.take().map_or_else(Pipe::new, Ok) else {
                // There are too many open files: it is read, as if it were little.
                self.bulk = false;
                return Poll::Ready(());
            };
            // A pipe that an error has left full is closed, and the next one is new.
            let (done, pipe) = self.splice_through(cx, pipe);
            *slot = pipe;
            done
        })
    }

    fn splice_through(&mut self, cx: &mut Context<'_>, pipe: Pipe) -> (Poll<()>, Option<Pipe>) {
        let Some(target) = &mut self.target else {
            return (Poll::Pending, Some(pipe));
        };
        let mut target = Kept::target(target, &mut self.keep);
        let into = |socket: BorrowedFd<'_>| {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            match splice(socket, None, &pipe.write, None, limits::CHUNK, flags) {
                Err(Errno::AGAIN) if is_readable(socket) => Ok(0),
                Err(Errno::PERM | Errno::NOSYS | Errno::INVAL | Errno::NOMEM) => Ok(0),
                spliced => Ok(spliced?),
            }
        };
        let Poll::Ready(read) = target.poll_with(cx, Interest::READABLE, into) else {
            return (Poll::Pending, Some(pipe));
        };
        if matches!(read, Ok(0)) {
            // The end, perhaps; or urgent data (MSG_OOB), which a splice never gets past, or somebody forbids
            // it. A read finds out.
            self.bulk = false;
            return (Poll::Ready(()), Some(pipe));
        }
        let Some(size) = self.target_said(read) else {
            return (Poll::Ready(()), Some(pipe));
        };
        self.bulk = size >= limits::BULK / 2;
        if self.settings.traffic {
            traffic("{");
        }
        let pipe = match self.send_frame(cx, &pipe, size) {
            Ok(()) => Some(pipe),
            Err(_) => {
                self.tally.not_for_client(size);
                self.client_gone();
                None
            }
        };
        if self.settings.traffic {
            traffic(if self.to_client.is_empty() { "<" } else { "<." });
        }
        (Poll::Ready(()), pipe)
    }

    /// Writes a frame of what is in the pipe; what the client does not take is kept.
    fn send_frame(&mut self, cx: &mut Context<'_>, pipe: &Pipe, size: usize) -> io::Result<()> {
        let mut room = [0; LONGEST_SENT];
        let length = frame::write_before(&mut room, Opcode::Binary, size);
        let header = &room[LONGEST_SENT - length..];
        let mut client = Kept::client(&mut self.client, &mut self.keep);
        let mut left = size;
        let mut header_left = header;
        while left > 0 {
            let sent = client.poll_with(cx, Interest::WRITABLE, |socket| {
                Ok(if header_left.is_empty() {
                    splice(&pipe.read, None, socket, None, left, SpliceFlags::NONBLOCK)?
                } else {
                    send(socket, header_left, SendFlags::MORE | SendFlags::NOSIGNAL)?
                })
            });
            match sent {
                Poll::Ready(sent) => {
                    let sent = sent?;
                    if header_left.is_empty() {
                        left -= sent;
                    } else {
                        header_left = &header_left[sent..];
                    }
                }
                Poll::Pending => return self.take_back(pipe, header_left, left),
            }
        }
        Ok(())
    }

    /// Empties the pipe: what it holds is to be sent later.
    fn take_back(&mut self, pipe: &Pipe, header: &[u8], size: usize) -> io::Result<()> {
        self.to_client.stall(header);
        CHUNK.with_borrow_mut(|chunk| {
            let mut left = size;
            while left > 0 {
                let room = left.min(chunk.len());
                let taken = read(&pipe.read, &mut chunk[..room])?;
                self.to_client.stall(&chunk[..taken]);
                left -= taken;
            }
            Ok(())
        })
    }
}

fn is_readable(socket: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|changed| changed > 0)
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // With less it takes more turns.
        let _ = fcntl_setpipe_size(&write, ROOM);
        Ok(Self { read, write })
    }
}
