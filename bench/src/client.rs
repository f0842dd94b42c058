//! The client of every peer: RFC 6455 over TCP or TLS, or bare bytes for a plain relay.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode, SslVersion};

use crate::pattern::LONGEST;

/// How long a peer may keep still while something is waited for: then it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const REQUEST: &str = "GET /websockify HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Origin: http://localhost\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: binary\r\n\r\n";

/// How a peer is spoken to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) port: u16,
    /// In which version, if at all.
    pub(crate) tls: Option<SslVersion>,
    pub(crate) websocket: bool,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes),
        }
    }
}

/// A connection to a peer, with its handshakes behind it.
pub(crate) struct Connection {
    wire: Wire,
    websocket: bool,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet handed out.
    unread: std::ops::Range<usize>,
    /// What of the present frame has not been handed out.
    of_frame: u64,
}

impl Connection {
    /// Connects. `buffer` bytes are read at once at the most.
    pub(crate) fn open(way: Way, buffer: usize) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, way.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let wire = match way.tls {
            Some(version) => {
                let mut ssl = Ssl::new(context())?;
                ssl.set_min_proto_version(Some(version))?;
                ssl.set_max_proto_version(Some(version))?;
                let stream = ssl.connect(stream).map_err(io::Error::other)?;
                Wire::Tls(Box::new(stream))
            }
            None => Wire::Plain(stream),
        };
        let mut connection = Self {
            wire,
            websocket: way.websocket,
            buffer: vec![0; buffer.min(LONGEST)],
            unread: 0..0,
            of_frame: 0,
        };
        if way.websocket {
            connection.shake_hands()?;
        }
        Ok(connection)
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        self.wire.write_all(REQUEST.as_bytes())?;
        let end = loop {
            self.read_more()?;
            let head = &self.buffer[..self.unread.end];
            if let Some(at) = head.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = &self.buffer[..end];
        // The answer to the key above, which is RFC 6455's own example.
        let accepted = head.starts_with(b"HTTP/1.1 101 ")
            && head
                .windows(28)
                .any(|it| it == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        if !accepted {
            let head = String::from_utf8_lossy(head).into_owned();
            return Err(io::Error::other(format!("no upgrade, but {head:?}")));
        }
        self.unread.start = end;
        Ok(())
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        self.put(payload, &mut bytes);
        self.wire.write_all(&bytes)
    }

    /// Appends what a message is on the wire to `bytes`, for [`Connection::send_prepared`].
    pub(crate) fn put(&self, payload: &[u8], bytes: &mut Vec<u8>) {
        if !self.websocket {
            bytes.extend_from_slice(payload);
            return;
        }
        bytes.push(0x82);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short @ ..126), _) => bytes.push(0x80 | short),
            (_, Ok(medium)) => {
                bytes.push(0xfe);
                bytes.extend(medium.to_be_bytes());
            }
            _ => {
                bytes.push(0xff);
                bytes.extend((payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    }

    pub(crate) fn send_prepared(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)
    }

    /// The next bytes of payload, at least one and at most `longest`. An end is an error.
    pub(crate) fn receive(&mut self, longest: usize) -> io::Result<&[u8]> {
        while self.websocket && self.of_frame == 0 {
            self.read_header()?;
        }
        if self.unread.is_empty() {
            self.read_more()?;
        }
        let mut n = self.unread.len().min(longest);
        if self.websocket {
            n = n.min(usize::try_from(self.of_frame).unwrap_or(usize::MAX));
            self.of_frame -= n as u64;
        }
        let start = self.unread.start;
        self.unread.start += n;
        Ok(&self.buffer[start..start + n])
    }

    /// Takes in the header of a frame with data. No peer here sends control frames before its end.
    fn read_header(&mut self) -> io::Result<()> {
        let length = loop {
            match &self.buffer[self.unread.clone()] {
                [0x00 | 0x02 | 0x80 | 0x82, short @ ..126, ..] => break (2, u64::from(*short)),
                [0x00 | 0x02 | 0x80 | 0x82, 126, a, b, ..] => {
                    break (4, u64::from(u16::from_be_bytes([*a, *b])));
                }
                [0x00 | 0x02 | 0x80 | 0x82, 127, rest @ ..] if rest.len() >= 8 => {
                    let mut length = [0; 8];
                    length.copy_from_slice(&rest[..8]);
                    break (10, u64::from_be_bytes(length));
                }
                [] | [0x00 | 0x02 | 0x80 | 0x82] | [0x00 | 0x02 | 0x80 | 0x82, 126 | 127, ..] => {
                    self.read_more()?;
                }
                [first, ..] => {
                    return Err(io::Error::other(format!(
                        "a frame that begins with {first:#04x}"
                    )));
                }
            }
        };
        self.unread.start += length.0;
        self.of_frame = length.1;
        Ok(())
    }

    /// Reads behind what is unread.
    fn read_more(&mut self) -> io::Result<()> {
        if self.unread.end == self.buffer.len() || self.unread.is_empty() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        match self.wire.read(&mut self.buffer[self.unread.end..])? {
            0 => Err(io::Error::other("the connection ended")),
            n => {
                self.unread.end += n;
                Ok(())
            }
        }
    }
}

/// One for all connections: no session is resumed, and no certificate is looked at.
fn context() -> &'static SslContext {
    static CONTEXT: OnceLock<SslContext> = OnceLock::new();
    CONTEXT.get_or_init(|| {
        let mut builder = SslContext::builder(SslMethod::tls_client()).expect("memory");
        builder.set_verify(SslVerifyMode::NONE);
        builder.build()
    })
}
