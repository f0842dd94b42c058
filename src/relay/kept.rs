//! A relay whose session is to outlive the process: see [`Keep`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Relay;
use crate::handover::keep::Keep;
use crate::stream::Stream;

impl Relay {
    /// Whether there is nothing between the session and its sockets that another process could not
    /// have: then it can be kept.
    #[must_use]
    pub fn can_be_kept(&self) -> bool {
        let is_plain = |stream: &Stream| matches!(stream, Stream::Plain(_));
        is_plain(&self.client) && self.target.as_ref().is_some_and(is_plain)
    }

    /// What another process needs to go on with a session that is kept: the sockets of the client
    /// and the target, and the state.
    #[must_use]
    pub fn kept(&self) -> Option<[BorrowedFd<'_>; 3]> {
        let (target, state) = (self.target.as_ref()?, self.keep.as_ref()?);
        let [client, target] = [&self.client, target].map(|it| it.socket().as_fd());
        Some([client, target, state.as_fd()])
    }

    /// Keeps the session's state no longer.
    pub fn let_go(&mut self) {
        self.keep = None;
    }

    /// Keeps the session's state from now on.
    ///
    /// # Errors
    /// The kernel's; and that it [cannot be](Self::can_be_kept).
    pub fn keep(&mut self, mut keep: Keep) -> io::Result<()> {
        if !self.can_be_kept() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        keep.save(self.snapshot())?;
        self.keep = Some(Box::new(keep));
        Ok(())
    }

    /// Writes the state down for the last time. Where that fails, it is not kept any more.
    pub(super) fn leave(&mut self) -> bool {
        self.save();
        self.keep.is_some()
    }

    /// There is nothing to go on with any more.
    pub(super) fn end_keep(&mut self) {
        if let Some(keep) = self.keep.take() {
            keep.end();
        }
    }

    /// Writes the state down once nothing has moved for a while.
    pub(super) fn keep_up(&mut self, cx: &mut Context<'_>) {
        if let Some(keep) = &mut self.keep {
            if keep.poll_settled(cx).is_ready() {
                self.save();
            }
        }
    }

    fn save(&mut self) {
        let snapshot = self.snapshot();
        if let Some(keep) = &mut self.keep {
            if let Err(error) = keep.save(snapshot) {
                let id = keep.entry().id;
                log::warn!("session {id} cannot be handed over: {error}");
                // It goes on here, and nowhere else.
                keep.moves(true);
                self.keep = None;
            }
        }
    }
}

/// A stream whose bytes move a session on that may be kept.
pub(super) struct Kept<'r> {
    stream: &'r mut Stream,
    keep: Option<&'r mut Keep>,
    /// Whether it is the client's.
    speaks: bool,
}

impl<'r> Kept<'r> {
    pub(super) fn client(stream: &'r mut Stream, keep: &'r mut Option<Box<Keep>>) -> Self {
        let keep = keep.as_deref_mut();
        Self {
            stream,
            keep,
            speaks: true,
        }
    }

    pub(super) fn target(stream: &'r mut Stream, keep: &'r mut Option<Box<Keep>>) -> Self {
        let keep = keep.as_deref_mut();
        Self {
            stream,
            keep,
            speaks: false,
        }
    }
}

impl AsyncRead for Kept<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(keep) = &mut this.keep {
            // Nothing moves that is not said before; and most polls find nothing.
            ready!(this.stream.socket().poll_read_ready(cx))?;
            keep.moves(false);
        }
        Pin::new(&mut *this.stream).poll_read(cx, room)
    }
}

impl AsyncWrite for Kept<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(keep) = &mut this.keep {
            ready!(this.stream.socket().poll_write_ready(cx))?;
            keep.moves(this.speaks);
        }
        Pin::new(&mut *this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(keep) = &mut this.keep {
            keep.moves(this.speaks);
        }
        Pin::new(&mut *this.stream).poll_shutdown(cx)
    }
}
