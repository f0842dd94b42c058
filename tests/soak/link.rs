//! A client's connection, and its WebSocket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};
use socket2::SockRef;

use crate::bytes;
use crate::counts::COUNTS;
use crate::{Random, websocket};

/// Longer than a restart waits for sessions inside TLS, and than a killed service stays away.
const PATIENCE: Duration = Duration::from_secs(60);

/// For TLS 1.2 and 1.3; made once, because they read all of the system's authorities.
static CONNECTORS: LazyLock<[SslConnector; 2]> = LazyLock::new(|| {
    [SslVersion::TLS1_2, SslVersion::TLS1_3].map(|version| {
        let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
        // Which certificate is shown, the scenario looks at.
        connector.set_verify(SslVerifyMode::NONE);
        connector.set_max_proto_version(Some(version)).unwrap();
        connector.build()
    })
});

/// How a client's wish was not granted.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Nobody accepted it.
    Refused,
    /// It was accepted, and got no answer.
    Unanswered,
    /// The session ended before it was over, with this close code.
    Lost(Option<u16>),
    /// What no restart is an excuse for.
    Wrong(String),
}

pub(crate) fn wrong<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(what.into()))
}

/// An error of a session.
fn lost(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::InvalidData => {
            Fault::Wrong(error.to_string())
        }
        _ => Fault::Lost(None),
    }
}

#[derive(Debug)]
pub(crate) enum Link {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Link {
    pub(crate) fn connect(port: u16) -> Result<TcpStream, Fault> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|_| Fault::Refused)?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Ok(stream)
    }

    pub(crate) fn open(port: u16, tls: bool, random: &mut Random) -> Result<Self, Fault> {
        let stream = Self::connect(port)?;
        if !tls {
            return Ok(Self::Plain(stream));
        }
        let connector = &CONNECTORS[usize::from(random.below(2) == 0)];
        let stream = connector.connect("localhost", stream);
        Ok(Self::Tls(stream.map_err(|_| Fault::Unanswered)?))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    /// Ends with a reset.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(self.socket()).set_linger(Some(Duration::ZERO));
    }
}

impl Read for Link {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(room),
            Self::Tls(stream) => stream.read(room),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A session, whose target does what its first five bytes say: see `target`.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: Link,
    /// Frames of base64, as pages of 2015 have them.
    text: bool,
    sent: u64,
    got: Vec<u8>,
}

impl Session {
    pub(crate) fn open(port: u16, tls: bool, random: &mut Random) -> Result<Self, Fault> {
        let mut link = Link::open(port, tls, random)?;
        let text = random.below(4) == 0;
        let token = ["port", "socket"][usize::from(random.below(2) == 0)];
        let protocol = if text { "base64" } else { "binary" };
        match websocket::open(&mut link, &format!("/?token={token}"), protocol) {
            Ok(101) => {}
            Ok(status) => return wrong(format!("status {status}")),
            Err(_) => return Err(Fault::Unanswered),
        }
        let (sent, got) = (0, Vec::new());
        Ok(Self {
            link,
            text,
            sent,
            got,
        })
    }

    /// The same one for a thread that writes. A plain one only: the state of TLS is not two threads'.
    pub(crate) fn writer(&self) -> Option<Self> {
        let Link::Plain(stream) = &self.link else {
            return None;
        };
        let link = Link::Plain(stream.try_clone().unwrap());
        let (text, sent, got) = (self.text, self.sent, Vec::new());
        Some(Self {
            link,
            text,
            sent,
            got,
        })
    }

    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), Fault> {
        // Why it cannot be sent, is to be read.
        self.put(payload)
            .map_err(|error| self.receive().err().unwrap_or_else(|| lost(&error)))
    }

    /// Sends and reads nothing.
    pub(crate) fn put(&mut self, payload: &[u8]) -> io::Result<()> {
        self.sent += 1;
        if self.text {
            let text = BASE64_STANDARD.encode(payload);
            websocket::send(&mut self.link, 1, text.as_bytes(), self.sent)
        } else {
            websocket::send(&mut self.link, 2, payload, self.sent)
        }
    }

    /// The payload of the next frame; the end is an error.
    fn receive(&mut self) -> Result<Vec<u8>, Fault> {
        match websocket::receive(&mut self.link).map_err(|error| lost(&error))? {
            (8, payload) => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                Err(Fault::Lost(code))
            }
            (1, text) if self.text => match BASE64_STANDARD.decode(text) {
                Ok(payload) => Ok(payload),
                Err(error) => wrong(format!("a frame of text: {error}")),
            },
            (2, payload) if !self.text => Ok(payload),
            (opcode, _) => wrong(format!("a frame with opcode {opcode}")),
        }
    }

    /// So many bytes of what the target says.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<u8>, Fault> {
        while self.got.len() < count {
            let payload = self.receive()?;
            self.got.extend(payload);
        }
        let rest = self.got.split_off(count);
        Ok(std::mem::replace(&mut self.got, rest))
    }

    /// Reads `count` bytes that have to be those from `at` on.
    pub(crate) fn expect(&mut self, mut at: usize, count: usize) -> Result<(), Fault> {
        let end = at + count;
        while at < end {
            let piece = self.take((end - at).min(16 * 1024))?;
            bytes::check(at, &piece).map_err(Fault::Wrong)?;
            COUNTS.right(piece.len());
            at += piece.len();
        }
        Ok(())
    }

    /// Reads to a close frame with this code, and answers it.
    pub(crate) fn expect_close(mut self, wanted: u16) -> Result<(), Fault> {
        loop {
            match self.receive() {
                Ok(payload) if payload.is_empty() => {}
                Ok(payload) => return wrong(format!("{} bytes behind the last", payload.len())),
                Err(Fault::Lost(Some(code))) if code == wanted => {
                    let _ = websocket::send(&mut self.link, 8, &code.to_be_bytes(), 1);
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The target says ten bytes and resets: of those, what was on its way may go with it.
    pub(crate) fn expect_reset(mut self, at: usize) -> Result<(), Fault> {
        let end = loop {
            match self.receive() {
                Ok(payload) => self.got.extend(payload),
                Err(fault) => break fault,
            }
        };
        bytes::check(at, &self.got).map_err(Fault::Wrong)?;
        match end {
            // A Unix socket only ends.
            Fault::Lost(Some(1000 | 1011)) => Ok(()),
            fault => Err(fault),
        }
    }

    /// Leaves as clients do: with a goodbye that is answered, with a reset, or without a word.
    pub(crate) fn leave(mut self, random: &mut Random) -> Result<(), Fault> {
        match random.below(4) {
            0 => self.link.reset(),
            1 => {}
            _ => {
                let code = 1000_u16.to_be_bytes();
                websocket::send(&mut self.link, 8, &code, 1).map_err(|error| lost(&error))?;
                return self.expect_close(1000);
            }
        }
        Ok(())
    }
}
