//! TLS that the kernel does (tls(7) of the kernel's documentation: Documentation/networking/tls.rst).
//! A socket that it has taken over is read and written as any other, in this process and the next.

use std::borrow::Cow;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::{TcpTlsRx, TcpTlsTx, TcpUlp};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TlsGetRecordType, cmsg_space, recvmsg, setsockopt,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use socket2::{Domain, MsgHdr, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::keys::Keys;
use crate::limits;
use crate::stream::Socket;
use crate::systemd::inherited::Inherited;

/// What the kernel calls it.
const TLS: &[u8] = b"tls";

/// A goodbye, and what we do not understand or cannot read (RFC 8446, 6).
const CLOSE_NOTIFY: [u8; 2] = [1, 0];
const UNEXPECTED_MESSAGE: [u8; 2] = [2, 10];
const BAD_RECORD_MAC: [u8; 2] = [2, 20];

/// Alerts that are no error; the second says that a goodbye follows.
const GOODBYE: u8 = 0;
const USER_CANCELED: u8 = 90;

/// Messages that ask for nothing: a server offers a handshake anew, or a ticket.
const HELLO_REQUEST: u8 = 0;
const NEW_SESSION_TICKET: u8 = 4;

/// And one that we refuse on every kernel: since Linux 6.14 one could be given new keys, but those follow
/// from secrets that are forgotten once it has the first.
const KEY_UPDATE: u8 = 24;

/// A TCP socket whose TLS is the kernel's.
#[derive(Debug)]
pub struct KernelTls {
    /// The socket itself.
    pub socket: Socket,
    /// Whether its end was read without the peer's goodbye.
    pub cut_off: bool,
    /// Whether the peer has said it.
    over: bool,
}

/// Whether the kernel does TLS. It asks for its module where that is not there, which helps only who
/// may load one. `inherited` is what it is asked by where we may make no socket for the Internet, as
/// in a service whose target is a Unix socket.
#[must_use]
pub fn is_there(inherited: &[Inherited]) -> bool {
    // It would, if this were connected; where it does not know TLS, it says that first.
    let ask = |socket| setsockopt(&socket, TcpUlp::default(), &TLS) == Err(Errno::ENOTCONN);
    match socket2::Socket::new(Domain::IPV4, Type::STREAM, None) {
        Ok(socket) => ask(socket.as_fd()),
        Err(_) => inherited.iter().any(|it| ask(it.socket.as_fd())),
    }
}

/// What the log says of that.
#[must_use]
pub fn told(is_there: bool) -> &'static str {
    if is_there {
        "the kernel does TLS: sessions inside it go on in the next process"
    } else {
        "the kernel does no TLS (modprobe tls): sessions inside it end with a restart"
    }
}

impl KernelTls {
    /// Has the kernel go on with what [`Keys`] say.
    ///
    /// # Errors
    /// It does not, and nothing has changed.
    pub(super) fn begin(socket: Socket, keys: &Keys) -> io::Result<Self> {
        setsockopt(&socket, TcpUlp::default(), &TLS)?;
        setsockopt(&socket, TcpTlsTx, &keys.send)?;
        if let Err(error) = setsockopt(&socket, TcpTlsRx, &keys.receive) {
            // There is no way back: what is read is no record, which ends the session.
            log::warn!("the kernel takes TLS over in one direction only: {error}");
        }
        Ok(Self::resume(socket))
    }

    /// Goes on with a socket that the kernel does TLS on since an earlier process.
    #[must_use]
    pub fn resume(socket: Socket) -> Self {
        Self {
            socket,
            cut_off: false,
            over: false,
        }
    }

    /// Reads once. `None` for a record that asks for nothing.
    fn take(&mut self, received: Received, bytes: &[u8]) -> io::Result<Option<usize>> {
        match (received, bytes) {
            (Received::Payload, []) => Ok(None),
            (Received::Payload, _) => Ok(Some(bytes.len())),
            (Received::End, _) => {
                self.cut_off = true;
                Ok(Some(0))
            }
            (Received::Alert, [_, GOODBYE]) => {
                self.over = true;
                Ok(Some(0))
            }
            (Received::Alert, [_, USER_CANCELED]) => Ok(None),
            (Received::Alert, [_, alert]) => {
                let text = format!("TLS alert: {}", name(*alert));
                Err(io::Error::new(io::ErrorKind::ConnectionReset, text))
            }
            (Received::Handshake, messages) if ask_for_nothing(messages) => Ok(None),
            (Received::Handshake, messages) => {
                let why = if messages.first() == Some(&KEY_UPDATE) {
                    "the peer changes its keys (KeyUpdate), which we do not where the kernel does TLS"
                } else {
                    "a TLS handshake message that cannot be left alone, and the kernel does TLS"
                };
                Err(self.refuse(UNEXPECTED_MESSAGE, why))
            }
            (Received::Alert | Received::Other, _) => {
                Err(self.refuse(UNEXPECTED_MESSAGE, "no TLS record of a known type"))
            }
        }
    }

    /// What the kernel makes of records, in words.
    fn explain(&self, error: io::Error) -> io::Error {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBADMSG) => self.refuse(
                BAD_RECORD_MAC,
                "a TLS record cannot be decrypted: it was changed on its way",
            ),
            Some(Errno::EMSGSIZE | Errno::EINVAL) => {
                self.refuse(UNEXPECTED_MESSAGE, "what came is no TLS record")
            }
            _ => error,
        }
    }

    fn refuse(&self, with: [u8; 2], why: &'static str) -> io::Error {
        // A read that could not be decrypted leaves its error on the socket, which the next write would
        // return instead of sending anything (tls_err_abort and sendmsg in the kernel's net/tls/tls_sw.c).
        let _ = SockRef::from(&self.socket).take_error();
        // Whether it hears that or not, it is over.
        let _ = alert(self.socket.as_fd(), with);
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

impl AsyncRead for KernelTls {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        for _ in 0..limits::SILENT_RECORDS {
            if this.over || room.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let free = room.initialize_unfilled();
            // As it is: what the socket's own poll_read takes for its end, a part of the room that
            // is left, may be the end of a record.
            let read = ready!(
                this.socket
                    .poll_with(cx, Interest::READABLE, |it| receive(it, &mut *free))
            );
            let (kind, size) = read.map_err(|error| this.explain(error))?;
            if let Some(size) = this.take(kind, &free[..size])? {
                room.advance(size);
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncWrite for KernelTls {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |it: BorrowedFd<'_>| Ok(send(it, bytes, SendFlags::NOSIGNAL)?);
        self.socket.poll_with(cx, Interest::WRITABLE, write)
    }

    /// The kernel sends by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A record that TCP has no room for waits in front of it, and our end of file does not wait for
        // that: it would be lost. The next one takes it along, if there is room for both.
        let goodbye = |it: BorrowedFd<'_>| {
            if !has_room(it)? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            alert(it, CLOSE_NOTIFY)
        };
        ready!(self.socket.poll_with(cx, Interest::WRITABLE, goodbye))?;
        Poll::Ready(Ok(shutdown(&self.socket, Shutdown::Write)?))
    }
}

/// What a read has found.
enum Received {
    Payload,
    Alert,
    Handshake,
    Other,
    /// The socket's end.
    End,
}

fn receive(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<(Received, usize)> {
    /// As cmsg(3) wants it.
    #[repr(align(8))]
    struct Space([u8; cmsg_space::<u8>()]);
    let mut space = Space([0; cmsg_space::<u8>()]);
    let mut room = [IoSliceMut::new(room)];
    let flags = MsgFlags::empty();
    let read = recvmsg::<()>(socket.as_raw_fd(), &mut room, Some(&mut space.0), flags)?;
    let kind = match read.cmsgs()?.next() {
        Some(ControlMessageOwned::TlsGetRecordType(kind)) => match kind {
            TlsGetRecordType::ApplicationData => Received::Payload,
            TlsGetRecordType::Alert => Received::Alert,
            TlsGetRecordType::Handshake => Received::Handshake,
            _ => Received::Other,
        },
        _ if read.bytes == 0 => Received::End,
        _ => Received::Other,
    };
    Ok((kind, read.bytes))
}

/// Whether TCP has room for some records: poll(2) says so where a third of its buffer is free. To write
/// is possible before.
fn has_room(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut asked = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    Ok(poll(&mut asked, Some(&Timespec::default()))? > 0)
}

/// What alerts say (RFC 8446, 6.2) that come behind a handshake: a target of TLS 1.3 judges our
/// certificate then.
fn name(alert: u8) -> Cow<'static, str> {
    Cow::Borrowed(match alert {
        10 => "unexpected message",
        20 => "bad record MAC",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        48 => "unknown CA",
        49 => "access denied",
        80 => "internal error",
        116 => "certificate required",
        other => return Cow::Owned(format!("number {other}")),
    })
}

/// Whether whole handshake messages are all such as may be left alone.
fn ask_for_nothing(mut messages: &[u8]) -> bool {
    while let [kind, a, b, c, rest @ ..] = messages {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap_or(usize::MAX);
        match (kind, rest.get(length..)) {
            (&HELLO_REQUEST | &NEW_SESSION_TICKET, Some(rest)) => messages = rest,
            _ => return false,
        }
    }
    messages.is_empty()
}

/// Sends a record of another type than payload.
fn alert(socket: BorrowedFd<'_>, alert: [u8; 2]) -> io::Result<()> {
    /// That of RFC 8446, 5.1.
    const ALERT: u8 = 21;
    // cmsg(3): its length without what fills it up, its level, its type, the record's.
    const LENGTH: usize = size_of::<usize>() + 2 * size_of::<i32>() + 1;
    let mut control = Vec::with_capacity(LENGTH.next_multiple_of(size_of::<usize>()));
    control.extend(LENGTH.to_ne_bytes());
    control.extend(libc::SOL_TLS.to_ne_bytes());
    control.extend(libc::TLS_SET_RECORD_TYPE.to_ne_bytes());
    control.push(ALERT);
    control.resize(LENGTH.next_multiple_of(size_of::<usize>()), 0);
    let alert = [IoSlice::new(&alert)];
    let message = MsgHdr::new().with_buffers(&alert).with_control(&control);
    SockRef::from(&socket).sendmsg(&message, libc::MSG_NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::os::unix::net::UnixStream;

    use nix::errno::Errno;

    use super::{BAD_RECORD_MAC, KernelTls, Received, UNEXPECTED_MESSAGE, ask_for_nothing};
    use crate::stream::Socket;

    #[test]
    fn new_keys_are_not_left_alone() {
        for (messages, alone) in [
            (&[][..], true),
            (&[0, 0, 0, 0], true),
            (&[4, 0, 0, 2, 7, 7], true),
            (&[4, 0, 0, 2, 7, 7, 4, 0, 0, 0], true),
            (&[4, 0, 0, 2, 7], false),
            (&[4, 0, 0], false),
            (&[24, 0, 0, 1, 0], false),
            (&[4, 0, 0, 0, 24, 0, 0, 1, 1], false),
            (&[1, 0, 0, 0], false),
            (&[4, 255, 255, 255, 0], false),
        ] {
            assert_eq!(ask_for_nothing(messages), alone, "{messages:?}");
        }
    }

    /// What TLS would have us do and the kernel cannot, or what nobody can make sense of. A Unix socket
    /// does no TLS: what is read and the kernel's errors are given, and no error waits on the socket.
    #[tokio::test]
    async fn what_cannot_be_gone_on_behind_ends_it_with_a_reason() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let socket = Socket::try_from(std::os::fd::OwnedFd::from(socket)).unwrap();
        let mut stream = KernelTls::resume(socket);
        let mut answer = || {
            let mut alert = [0; 2];
            peer.read_exact(&mut alert).unwrap();
            alert
        };
        for (kind, bytes, why) in [
            (Received::Handshake, &[24, 0, 0, 1, 0][..], "KeyUpdate"),
            // The first half of a ticket, and the second.
            (Received::Handshake, &[4, 0, 2, 0, 7], "left alone"),
            (Received::Handshake, &[7; 500], "left alone"),
            // A client of TLS 1.2 that begins anew.
            (Received::Handshake, &[1, 0, 0, 0], "left alone"),
            (Received::Alert, &[2], "known type"),
            (Received::Other, b"\x01", "known type"),
        ] {
            let error = stream.take(kind, bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(answer(), UNEXPECTED_MESSAGE);
        }
        for (errno, why, alert) in [
            (Errno::EBADMSG, "decrypted", BAD_RECORD_MAC),
            (Errno::EMSGSIZE, "no TLS record", UNEXPECTED_MESSAGE),
            (Errno::EINVAL, "no TLS record", UNEXPECTED_MESSAGE),
        ] {
            let error = stream.explain(errno.into()).to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(answer(), alert);
        }
        let reset = stream.explain(Errno::ECONNRESET.into());
        assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
        // Alerts are not answered; in TLS 1.2 some are warnings, of which none leaves all as it was.
        for (alert, why) in [([2, 20], "bad record MAC"), ([1, 100], "number 100")] {
            let error = stream.take(Received::Alert, &alert).unwrap_err();
            assert_eq!(error.to_string(), format!("TLS alert: {why}"));
        }
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}
