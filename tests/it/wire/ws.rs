//! A connection after its upgrade: frames out, frames in, and how it ended.

use std::net::SocketAddr;

use super::frame::{BINARY, CLOSE, PING, PONG};
use super::{Frame, Length, UPGRADE, Wire};

/// A WebSocket client that answers nothing by itself.
#[derive(Debug)]
pub(crate) struct Ws {
    pub(crate) wire: Wire,
}

/// What came before the end, and the end in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The payloads of all binary frames.
    pub(crate) data: Vec<u8>,
    /// Code and reason of the close frame, or `empty close`, or `no close frame`.
    pub(crate) close: String,
}

impl Ws {
    /// Connects and upgrades as a browser does.
    pub(crate) fn open(addr: impl Into<SocketAddr>) -> Self {
        Self::upgrade(Wire::connect(addr))
    }

    pub(crate) fn upgrade(wire: Wire) -> Self {
        Self::upgrade_with(wire, UPGRADE)
    }

    /// Upgrades with a request head, or what is left of it, of the test's own.
    pub(crate) fn upgrade_with(mut wire: Wire, head: &str) -> Self {
        let response = wire.request(head);
        assert_eq!(response.status, 101, "{response:?}");
        Self { wire }
    }

    pub(crate) fn send(&mut self, frame: &Frame) {
        self.wire.send(frame.encode());
    }

    /// The next frame, or nothing at the end. A server's frames are unmasked, use no extension and
    /// have their length in the shortest form: each one is held to that.
    pub(crate) fn recv(&mut self) -> Option<Frame> {
        let [first, second] = self.wire.take(2)?.try_into().unwrap();
        assert_eq!(second & 0x80, 0, "a masked frame from the server");
        assert_eq!(first & 0x70, 0, "reserved bits from the server");
        let (length, least) = match second {
            126 => (self.number(2)?, 126),
            127 => (self.number(8)?, 65536),
            short => (usize::from(short), 0),
        };
        assert!(length >= least, "{length} in a longer form than it needs");
        Some(Frame {
            fin: first & 0x80 != 0,
            rsv: 0,
            opcode: first & 0x0f,
            mask: None,
            length: Length::Minimal,
            payload: self.wire.take(length)?,
        })
    }

    /// Payloads of binary frames until there are `n` bytes of them.
    pub(crate) fn recv_data(&mut self, n: usize) -> Vec<u8> {
        let mut data = Vec::new();
        while data.len() < n {
            let frame = self.recv().expect("more data");
            assert_eq!((frame.opcode, frame.fin), (BINARY, true), "{frame:?}");
            data.extend(frame.payload);
        }
        data
    }

    /// Sends `payload` to an echo and expects it back: the session works.
    pub(crate) fn expect_echo(&mut self, payload: impl Into<Vec<u8>>) {
        let payload = payload.into();
        self.send(&Frame::binary(payload.clone()));
        assert!(self.recv_data(payload.len()) == payload, "the echo differs");
    }

    /// Reads up to a close frame, or to the end of the connection where there is none; passes over
    /// pings and pongs.
    pub(crate) fn end(&mut self) -> End {
        let mut data = Vec::new();
        while let Some(frame) = self.recv() {
            match frame.opcode {
                BINARY => data.extend(frame.payload),
                CLOSE => {
                    return End {
                        data,
                        close: in_words(&frame.payload),
                    };
                }
                PING | PONG => {}
                other => panic!("opcode {other:#x} before the end"),
            }
        }
        End {
            data,
            close: "no close frame".into(),
        }
    }

    /// Reads up to the close and returns only that, in words.
    pub(crate) fn close(&mut self) -> String {
        self.end().close
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        let bytes = self.wire.take(bytes)?;
        Some(
            bytes
                .into_iter()
                .fold(0, |number, byte| (number << 8) | usize::from(byte)),
        )
    }
}

fn in_words(payload: &[u8]) -> String {
    match payload {
        [] => "empty close".into(),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            format!("{code} {}", String::from_utf8_lossy(reason))
                .trim_end()
                .to_owned()
        }
        [_] => "a close of one byte".into(),
    }
}
