//! A relay whose session is to outlive the process: see [`Keep`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Relay;
use crate::handover::keep::Keep;
use crate::stream::Stream;
use crate::tls::keys::Unfit;

impl Relay {
    /// Whether there is nothing between the session and its sockets that another process could not
    /// have: then it can be kept.
    #[must_use]
    pub fn can_be_kept(&self) -> bool {
        let target = self.target.as_ref();
        self.client.is_the_kernels() && target.is_some_and(Stream::is_the_kernels)
    }

    /// Leaves TLS on either side to the kernel, so that the session can be kept; only where it does that
    /// of both.
    ///
    /// # Errors
    /// It cannot be kept. Where the kernel fails at the second side, for want of memory or descriptors,
    /// the first has been left to it all the same, and goes on there.
    pub fn enter_kernel(&mut self) -> Result<(), Unfit> {
        let Some(target) = &mut self.target else {
            return Ok(());
        };
        let streams = [&mut self.client, target];
        let keys = [streams[0].keys()?, streams[1].keys()?];
        for (stream, keys) in streams.into_iter().zip(&keys) {
            if let Some(keys) = keys {
                stream.enter_kernel(keys)?;
            }
        }
        Ok(())
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

    /// Writes the state down for the last time; says whether it was. Where not, it is not kept any
    /// more.
    pub(super) async fn leave(&mut self) -> bool {
        if let Some(recording) = &self.recording {
            // Only one that is whole goes along.
            Box::pin(recording.written()).await;
        }
        self.save().is_ok()
    }

    /// There is nothing to go on with any more.
    pub(super) fn end_keep(&mut self) {
        if let Some(keep) = self.keep.take() {
            keep.end();
        }
    }

    /// Writes the state down once nothing has moved for a while. Ready when it is not kept any more.
    pub(super) fn keep_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(keep) = &mut self.keep else {
                return Poll::Pending;
            };
            let saved = match keep.fault() {
                Some(error) => Err(self.give_up(&error)),
                None => {
                    if keep.is_still() {
                        ready!(self.poll_recorded(cx));
                    } else {
                        ready!(keep.poll_settled(cx));
                    }
                    self.save()
                }
            };
            if let Err(Unkept) = saved {
                return Poll::Ready(());
            }
        }
    }

    /// Ready when there is more to say of the recording than the state does.
    fn poll_recorded(&self, cx: &mut Context<'_>) -> Poll<()> {
        let unsaid = self.keep.as_ref().is_some_and(|it| !it.knows_recording());
        match &self.recording {
            Some(recording) if unsaid && !recording.is_over() => recording.poll_written(cx),
            _ => Poll::Pending,
        }
    }

    /// What is decided without a byte that moves is a change all the same: it is not to be forgotten
    /// by the next process.
    pub(super) fn has_changed(&mut self) {
        if let Some(keep) = &mut self.keep {
            // Where that cannot be said, nothing moves before keeping has ended.
            let _ = keep.moves(false);
        }
    }

    fn save(&mut self) -> Result<(), Unkept> {
        let snapshot = self.snapshot();
        let Some(keep) = &mut self.keep else {
            return Err(Unkept);
        };
        keep.save(snapshot).map_err(|error| self.give_up(&error))
    }

    /// It goes on here, and nowhere else.
    fn give_up(&mut self, why: &io::Error) -> Unkept {
        if let Some(keep) = self.keep.take() {
            let id = keep.entry().id;
            log::warn!("session {id} cannot be handed over: {why}");
        }
        Unkept
    }
}

/// The session is not kept any more.
struct Unkept;

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
            if !keep.moves(false) {
                // Tried again once keeping has ended, which is next.
                return Poll::Pending;
            }
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
            if !keep.moves(this.speaks) {
                return Poll::Pending;
            }
        }
        Pin::new(&mut *this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(keep) = &mut this.keep {
            // The kernel's TLS waits for room to say goodbye, which is no moving: a state that is never
            // at rest is never written down.
            if this.stream.is_kernel_tls() {
                ready!(this.stream.socket().poll_write_ready(cx))?;
            }
            if !keep.moves(this.speaks) {
                return Poll::Pending;
            }
        }
        Pin::new(&mut *this.stream).poll_shutdown(cx)
    }
}
