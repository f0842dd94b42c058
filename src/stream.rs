//! One type for every byte stream that we relay, so that the relay is compiled once.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_openssl::SslStream;

use crate::tls::beneath::Beneath;
use crate::tls::peer::Names;

/// A connected stream, a client's or a target's.
#[derive(Debug)]
pub enum Stream {
    /// As the socket has it.
    Plain(Socket),
    /// Inside TLS.
    Tls(Pin<Box<SslStream<Beneath>>>),
}

/// A connected stream socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

impl Stream {
    /// The names in the certificate that the peer showed and TLS verified.
    #[must_use]
    pub fn peer_names(&self) -> Option<Names> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Names::of(stream.ssl()),
        }
    }

    /// Lets the peer leave what we send unread for as long as it likes: see
    /// [`crate::limits::ANSWER_UNREAD_TIME`].
    pub fn forget_answer_deadline(&self) {
        if let Socket::Tcp(stream) = self.socket() {
            // It fails only on a socket that is gone, which the next read will say.
            let _ = SockRef::from(stream).set_tcp_user_timeout(None);
        }
    }

    /// Whether the peer has ended its side or is gone, also behind bytes that nobody has read yet.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.is_now(PollFlags::RDHUP)
    }

    /// Whether the kernel has something for us to read, also where the runtime has not heard yet.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        self.is_now(PollFlags::IN)
    }

    fn is_now(&self, state: PollFlags) -> bool {
        let mut asked = [PollFd::new(self.socket(), state)];
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|changed| changed > 0)
    }

    /// Whether the end of what was read may not be the peer's: see [`Beneath`].
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.get_ref().cut_off)
    }

    /// The socket beneath.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.get_ref().socket,
        }
    }
}

impl Socket {
    /// Whether a read could find something, without trying.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Whether a write could find room, without trying.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Waits for bytes and leaves them unread. Returns how many came, 0 at the peer's end.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let peek = || {
            let (size, _) = rustix::net::recv(self.as_fd(), &mut *bytes, RecvFlags::PEEK)?;
            Ok(size)
        };
        match self {
            Self::Tcp(stream) => stream.async_io(Interest::READABLE, peek).await,
            Self::Unix(stream) => stream.async_io(Interest::READABLE, peek).await,
        }
    }

    /// Waits for the first byte and leaves it unread; `None` when the peer left without one.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn peek_first(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let size = self.peek(&mut byte).await?;
        Ok((size > 0).then_some(byte[0]))
    }

    /// Our address of the connection, where it has one.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl TryFrom<OwnedFd> for Socket {
    type Error = io::Error;

    /// Takes a connected stream socket into the runtime that runs this.
    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(descriptor);
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        socket.set_nonblocking(true)?;
        Ok(if socket.domain()? == socket2::Domain::UNIX {
            Self::Unix(UnixStream::from_std(socket.into())?)
        } else {
            Self::Tcp(TcpStream::from_std(socket.into())?)
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// The same four calls, passed on to whichever stream there is.
macro_rules! pass_on {
    ($name:ident: $($variant:ident),+) => {
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_read(cx, buf),)+
                }
            }
        }

        impl AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_write(cx, bytes),)+
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_flush(cx),)+
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $(Self::$variant(stream) => Pin::new(stream).poll_shutdown(cx),)+
                }
            }
        }
    };
}

pass_on!(Socket: Tcp, Unix);
pass_on!(Stream: Plain, Tls);
