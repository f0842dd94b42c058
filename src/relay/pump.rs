//! One read and the write it leads to, each way; and flushing what a write left over.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use super::kept::Kept;
use super::unsent::Unsent;
use super::{Down, Relay, Up};
use crate::log::{ClosedBy, traffic};
use crate::stream::Stream;
use crate::websocket::decoder::End;
use crate::websocket::framing;

/// What the record says of a target whose TLS ended without its goodbye.
const CUT_OFF: &str = "no close_notify: it may have been cut off";

thread_local! {
    /// Room for one read, framed. Never held across an await.
    static CHUNK: RefCell<Box<[u8]>> = RefCell::new(vec![0; framing::ROOM].into_boxed_slice());
}

impl Relay {
    /// Reads once from the client and writes the payload to the target.
    pub(super) fn pump_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CHUNK.with_borrow_mut(|chunk| {
            let size = if self.early.is_empty() {
                let mut client = Kept::client(&mut self.client, &mut self.keep);
                match ready!(read(&mut client, cx, chunk)) {
                    Ok(0) => {
                        self.client_ended();
                        return Poll::Ready(());
                    }
                    Ok(size) => size,
                    Err(error) => {
                        // OpenSSL complains of each client that leaves without a goodbye.
                        let fault = fault(&error).filter(|_| self.client.is_kernel_tls());
                        self.lose_client(fault.as_deref());
                        return Poll::Ready(());
                    }
                }
            } else {
                if let Some(keep) = &mut self.keep {
                    if !keep.moves(false) {
                        return Poll::Pending;
                    }
                }
                let size = self.early.len().min(chunk.len());
                self.early.copy_to_slice(&mut chunk[..size]);
                if self.early.is_empty() {
                    // Even empty it would hold the buffer that the request was read into.
                    self.early = Bytes::new();
                }
                size
            };
            self.work += size;
            self.heard = true;
            let piece = &mut chunk[..size];
            // After our close frame nothing may follow it (RFC 6455, 5.5.1): pongs are dropped.
            let mut pongs = Vec::new();
            let decoded = self.reader.decode(piece, &mut pongs);
            if self.down == Down::Open {
                self.pongs += pongs.len();
                self.to_client.push(&pongs);
            }
            if self.settings.traffic {
                traffic(if self.reader.between_frames() {
                    "}"
                } else {
                    "}."
                });
            }
            if let Some(recording) = &self.recording {
                recording.client_said(&piece[decoded.payload.clone()], &decoded.ends);
            }
            self.write_to_target(cx, &piece[decoded.payload]);
            match decoded.end {
                None => {}
                Some(End::Close(close)) => self.client_closed(close),
                Some(End::Violation(violation)) => {
                    self.begin_close(violation.into(), ClosedBy::Client, true);
                    self.up = Up::Finishing { drain: true };
                }
            }
            Poll::Ready(())
        })
    }

    fn write_to_target(&mut self, cx: &mut Context<'_>, payload: &[u8]) {
        let Some(target) = &mut self.target else {
            return;
        };
        if payload.is_empty() {
            return;
        }
        let mut target = Kept::target(target, &mut self.keep);
        match self.to_target.write(&mut target, cx, payload) {
            Ok(taken) => self.tally.took_from_client(taken),
            Err(error) => self.target_takes_no_more(&error),
        }
        if self.settings.traffic {
            traffic(mark_to_target(&self.to_target));
        }
    }

    /// Reads once from the target and writes one frame to the client.
    pub(super) fn pump_down(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CHUNK.with_borrow_mut(|chunk| {
            let Some(target) = &mut self.target else {
                return Poll::Pending;
            };
            let room = self.framing.payload();
            let mut target = Kept::target(target, &mut self.keep);
            let read = ready!(read(&mut target, cx, &mut chunk[room.clone()]));
            let Some(size) = self.target_said(read) else {
                return Poll::Ready(());
            };
            if let Some(recording) = &self.recording {
                recording.target_said(&chunk[room][..size]);
            }
            let frame = self.framing.enclose(chunk, size);
            if self.settings.traffic {
                traffic("{");
            }
            let frame = &chunk[frame];
            let mut client = Kept::client(&mut self.client, &mut self.keep);
            if self.to_client.write(&mut client, cx, frame).is_err() {
                self.tally.not_for_client(size);
                self.client_gone();
            }
            if self.settings.traffic {
                traffic(if self.to_client.is_empty() { "<" } else { "<." });
            }
            Poll::Ready(())
        })
    }

    /// How much was read from the target, unless that was its end.
    fn target_said(&mut self, read: io::Result<usize>) -> Option<usize> {
        match read {
            Ok(0) if self.target.as_ref().is_some_and(Stream::is_cut_off) => {
                self.lose_target(Some(CUT_OFF));
                None
            }
            Ok(0) => {
                self.target_ended();
                None
            }
            Ok(size) => {
                self.work += size;
                self.tally.got_for_client(size);
                Some(size)
            }
            Err(error) => {
                self.lose_target(fault(&error).as_deref());
                None
            }
        }
    }

    pub(super) fn flush_to_target(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(target) = &mut self.target else {
            return Poll::Ready(());
        };
        let before = self.to_target.len();
        let mut target = Kept::target(target, &mut self.keep);
        let flushed = self.to_target.poll_flush(&mut target, cx);
        let taken = before - self.to_target.len();
        self.tally.took_from_client(taken);
        if taken > 0 {
            self.target_took_some();
            if self.settings.traffic {
                traffic(mark_to_target(&self.to_target));
            }
        }
        match flushed {
            Poll::Ready(Ok(())) => self.stalled = None,
            Poll::Ready(Err(error)) => self.target_takes_no_more(&error),
            Poll::Pending if self.target_stalls() => {}
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    /// The target reads nothing any more. It may still have something to say: that, or its end of
    /// file, decides how the session ends.
    fn target_takes_no_more(&mut self, error: &io::Error) {
        self.to_target = Unsent::default();
        self.stalled = None;
        // Not so a broken pipe, which also follows an orderly end of file.
        self.target_reset |= error.kind() == ErrorKind::ConnectionReset;
    }

    pub(super) fn flush_to_client(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (before, stalled) = (self.to_client.len(), self.to_client.is_stalled());
        let mut client = Kept::client(&mut self.client, &mut self.keep);
        let flushed = self.to_client.poll_flush(&mut client, cx);
        if stalled && self.to_client.len() < before {
            self.client_took_some();
        }
        match flushed {
            Poll::Ready(Ok(())) => self.pongs = 0,
            Poll::Ready(Err(_)) => self.client_gone(),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    /// Reads from the client for nobody; whether there may be more.
    pub(super) fn discard_from_client(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut client = Kept::client(&mut self.client, &mut self.keep);
        let read = CHUNK.with_borrow_mut(|chunk| read(&mut client, cx, chunk));
        Poll::Ready(self.discarded(ready!(read)))
    }

    /// Reads from the target for nobody; whether there may be more.
    pub(super) fn discard_from_target(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(target) = &mut self.target else {
            return Poll::Ready(false);
        };
        let mut target = Kept::target(target, &mut self.keep);
        let read = ready!(CHUNK.with_borrow_mut(|chunk| read(&mut target, cx, chunk)));
        if self.last_look.is_some() {
            self.unheard += *read.as_ref().unwrap_or(&0);
        }
        Poll::Ready(self.discarded(read))
    }

    fn discarded(&mut self, read: io::Result<usize>) -> bool {
        let size = read.unwrap_or(0);
        self.work += size;
        size > 0
    }
}

/// What the record is to say of an error: the kernel's own, as a reset, says no more than the close
/// reason does; TLS may.
fn fault(error: &io::Error) -> Option<String> {
    Some(error.to_string()).filter(|_| error.raw_os_error().is_none())
}

/// The legend says `>.`, and means this.
fn mark_to_target(unsent: &Unsent) -> &'static str {
    if unsent.is_empty() { ">" } else { ".>" }
}

fn read(stream: &mut Kept<'_>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(room);
    ready!(Pin::new(stream).poll_read(cx, &mut room))?;
    Poll::Ready(Ok(room.filled().len()))
}
