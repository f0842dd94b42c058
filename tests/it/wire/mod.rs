//! Raw HTTP and WebSocket clients, with every byte in the test's hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::process::DEADLINE;

mod frame; // one frame, right or wrong
mod response; // an HTTP answer's head
mod ws; // a connection after its upgrade

pub(crate) use frame::{BINARY, CLOSE, Frame, Length, PING, PONG};
pub(crate) use response::Response;
pub(crate) use ws::{End, Ws};

/// The request head of a browser's upgrade, without its last blank line.
pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: bridge\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\n";

/// A connection to the bridge that knows nothing of protocols.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(addr: impl Into<SocketAddr>) -> Self {
        Self::over(TcpStream::connect(addr.into()).unwrap())
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        // A TcpStream reads, writes and shuts down any stream socket, so one client serves both.
        Self::over(TcpStream::from(OwnedFd::from(
            UnixStream::connect(path).unwrap(),
        )))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a request head, given without its last blank line, and reads the answer's head.
    pub(crate) fn request(&mut self, head: &str) -> Response {
        self.send(format!("{head}\r\n"));
        self.response()
    }

    /// Reads the next answer's head; its body is still to come.
    pub(crate) fn response(&mut self) -> Response {
        loop {
            if let Some(at) = self
                .unread
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                return Response::parse(&self.take(at + 4).unwrap());
            }
            assert_ne!(self.fill(), 0, "the connection ended without an answer");
        }
    }

    /// The next `n` bytes, or nothing when the stream ends before them.
    pub(crate) fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.unread.len() < n {
            if self.fill() == 0 {
                return None;
            }
        }
        let rest = self.unread.split_off(n);
        Some(std::mem::replace(&mut self.unread, rest))
    }

    /// Everything up to the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// Says that nothing more will be sent, as closing a TCP connection does.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads once; a reset connection has ended like any other, without more bytes.
    fn fill(&mut self) -> usize {
        let mut buffer = [0; 65536];
        let n = loop {
            match self.stream.read(&mut buffer) {
                Ok(n) => break n,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break 0,
                // A read with a timeout is not taken up again after SIGSTOP or a freeze (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("the bridge said nothing in time: {error}"),
            }
        };
        self.unread.extend_from_slice(&buffer[..n]);
        n
    }
}
