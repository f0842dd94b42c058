//! Bytes that a socket did not take yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Room that a small push takes beyond its need, so that pongs behind a large rest do not move it
/// each time.
const SLACK: usize = 1024;

/// A queue that holds no memory while it is empty: at most the rest of one read, because its owner
/// reads nothing more before it is flushed, and the control frames put behind that.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether the socket had no room when last asked.
    stalled: bool,
}

impl From<Vec<u8>> for Unsent {
    /// What an earlier process could not send: its peer had no room.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            stalled: !bytes.is_empty(),
            bytes,
            sent: 0,
        }
    }
}

impl Unsent {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            // Not twice the room, as a vector would by itself: a stalled session keeps it for long.
            self.bytes.reserve_exact(bytes.len().max(SLACK));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What waits.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Writes what the stream takes now and keeps the rest. Returns how much was taken.
    pub(super) fn write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let mut taken = 0;
        // TLS takes a record at a time, and nothing may overtake what is queued.
        while taken < bytes.len() && self.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &bytes[taken..]) {
                Poll::Ready(size) => taken += size?,
                Poll::Pending => {
                    self.stalled = true;
                    break;
                }
            }
        }
        if taken < bytes.len() {
            self.push(&bytes[taken..]);
        }
        Ok(taken)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether the socket had no room when last asked: that it takes more later means that its
    /// peer has acknowledged something.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Writes until all is taken. Safe to drop at any point: what was taken is not sent again.
    pub(super) fn poll_flush(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let written = Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.sent..]);
            self.stalled = written.is_pending();
            let size = ready!(written)?;
            self.sent += size;
        }
        *self = Self::default();
        Poll::Ready(Ok(()))
    }
}
