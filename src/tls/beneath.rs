//! The socket beneath OpenSSL, which remembers what OpenSSL does not tell: whether a connection was
//! ended by its peer or may have been cut off by somebody in between (RFC 8446, 6.1).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::Records;
use crate::stream::Socket;

/// A socket that TLS records go through.
#[derive(Debug)]
pub struct Beneath {
    /// The socket itself.
    pub socket: Socket,
    /// Whether its end was read. OpenSSL asks for nothing more once its peer has said goodbye, so
    /// an end that it sees is one without.
    pub cut_off: bool,
    /// What has gone through it, where the kernel may go on with it.
    pub records: Option<Box<Records>>,
}

impl Beneath {
    /// Nothing has been read yet.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self {
            socket,
            cut_off: false,
            records: None,
        }
    }
}

impl AsyncRead for Beneath {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (room, before) = (buf.remaining(), buf.filled().len());
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        this.cut_off |= room > 0 && read.is_empty();
        if let Some(records) = &mut this.records {
            records.received(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Beneath {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        if let Some(records) = &mut this.records {
            match written {
                Poll::Ready(Ok(size)) => records.sent(&bytes[..size]),
                Poll::Ready(Err(_)) | Poll::Pending => records.blocked = true,
            }
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
