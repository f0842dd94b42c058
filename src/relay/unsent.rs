//! Bytes that a socket did not take yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// A queue that holds no memory while it is empty: at most one read's worth, because its owner
/// reads nothing more before it is flushed.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether the socket had no room when last asked.
    stalled: bool,
}

impl Unsent {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
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

    /// Writes `bytes` until there is no room and keeps the rest; for a queue that is empty. TLS takes
    /// one record of 16 KiB at a time, so that once is not enough. Says how many were taken.
    pub(super) fn write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            let Poll::Ready(size) = Pin::new(&mut *stream).poll_write(cx, &bytes[sent..]) else {
                self.stalled = true;
                self.push(&bytes[sent..]);
                break;
            };
            sent += size?;
        }
        Ok(sent)
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
