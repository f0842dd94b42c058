//! One type for every byte stream that we relay, so that the relay is compiled once.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_openssl::SslStream;

use crate::tls;
use crate::tls::beneath::Beneath;
use crate::tls::kernel::KernelTls;
use crate::tls::keys::{Keys, Unfit};
use crate::tls::peer::Names;

/// A connected stream, a client's or a target's.
#[derive(Debug)]
pub enum Stream {
    /// As the socket has it.
    Plain(Socket),
    /// Inside TLS, which OpenSSL does.
    Tls(Pin<Box<SslStream<Beneath>>>),
    /// Inside TLS, which the kernel does.
    Kernel(KernelTls),
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
            Self::Plain(_) | Self::Kernel(_) => None,
            Self::Tls(stream) => Names::of(stream.ssl()),
        }
    }

    /// What the kernel needs to go on with TLS that OpenSSL does; `None` where it does none.
    ///
    /// # Errors
    /// The kernel could not.
    pub fn keys(&self) -> Result<Option<Keys>, Unfit> {
        match self {
            Self::Plain(_) | Self::Kernel(_) => Ok(None),
            Self::Tls(stream) => tls::keys(stream.ssl(), stream.get_ref()).map(Some),
        }
    }

    /// Leaves TLS to the kernel, so that another process can go on with the stream: nothing of it is
    /// in OpenSSL then. `keys` are [its own](Self::keys), and nothing was read or written since.
    ///
    /// # Errors
    /// It stays as it was.
    pub fn enter_kernel(&mut self, keys: &Keys) -> Result<(), Unfit> {
        if let Self::Tls(stream) = self {
            *self = Self::Kernel(tls::enter_kernel(stream.get_ref(), keys)?);
        }
        Ok(())
    }

    /// Whether all that it is besides its socket is the kernel's.
    #[must_use]
    pub fn is_the_kernels(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Kernel(_))
    }

    /// Goes on with a socket of an earlier process.
    #[must_use]
    pub fn resume(socket: Socket, kernel_tls: bool) -> Self {
        if kernel_tls {
            Self::Kernel(KernelTls::resume(socket))
        } else {
            Self::Plain(socket)
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

    /// Whether the kernel does its TLS.
    #[must_use]
    pub fn is_kernel_tls(&self) -> bool {
        matches!(self, Self::Kernel(_))
    }

    /// Whether the end of what was read may not be the peer's: see [`Beneath`].
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().cut_off,
            Self::Kernel(stream) => stream.cut_off,
        }
    }

    /// The socket beneath.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.get_ref().socket,
            Self::Kernel(stream) => &stream.socket,
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

    /// Does `work`, which reads or writes as `interest` says, once the socket is ready for that; it
    /// says by `WouldBlock` that it is not.
    pub(crate) fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut work: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            ready!(if interest.is_readable() {
                self.poll_read_ready(cx)
            } else {
                self.poll_write_ready(cx)
            })?;
            match self.try_io(interest, &mut work) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn try_io<R>(
        &self,
        interest: Interest,
        work: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.try_io(interest, || work(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(interest, || work(stream.as_fd())),
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

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => {
                let before = buf.filled().len();
                let read = stream.as_mut().poll_read(cx, buf);
                if let Some(records) = &mut stream.get_mut().records {
                    records.payload += (buf.filled().len() - before) as u64;
                }
                read
            }
            Self::Kernel(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

/// The same three calls, passed on to whichever stream there is.
macro_rules! pass_on {
    ($name:ident: $($variant:ident),+) => {
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
pass_on!(Stream: Plain, Tls, Kernel);
