//! What a client and we agreed on: how payload looks on the wire, both ways.

use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::close::Close;
use super::frame::{self, LONGEST_SENT, Opcode};
use crate::limits;

/// How payload is put into frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Framing {
    /// Binary frames of RFC 6455.
    #[default]
    Binary,
    /// Text frames of RFC 6455 with base64 in them: the subprotocol `base64` of websockify until
    /// 0.8, for browsers without binary frames.
    Base64,
    /// Base64 between a byte `00` and a byte `ff`, and no close frame: draft hixie-75.
    Hixie75,
    /// The same with a close frame, `ff 00`: draft hixie-76.
    Hixie76,
}

/// Bytes that a buffer needs to be framed in; see [`Framing::enclose`].
pub const ROOM: usize = LONGEST_SENT + limits::CHUNK;

/// Where the payload stands that is to become text: behind the longest text that it gives,
/// and the byte that ends it.
const BEFORE_TEXT: usize = LONGEST_SENT + limits::TEXT_FRAME.div_ceil(3) * 4 + 1;

const _: () = assert!(
    BEFORE_TEXT + limits::TEXT_FRAME <= ROOM,
    "a text frame fits"
);

impl Framing {
    /// Where in a buffer of [`ROOM`] bytes the payload of a frame is to be put.
    #[must_use]
    pub const fn payload(self) -> Range<usize> {
        match self {
            Self::Binary => LONGEST_SENT..ROOM,
            Self::Base64 | Self::Hixie75 | Self::Hixie76 => {
                BEFORE_TEXT..BEFORE_TEXT + limits::TEXT_FRAME
            }
        }
    }

    /// Makes a frame of the first `size` bytes at [`Self::payload`]; where it stands.
    pub fn enclose(self, buffer: &mut [u8], size: usize) -> Range<usize> {
        match self {
            Self::Binary => enclose(buffer, Opcode::Binary, size),
            Self::Base64 => {
                let size = encode(buffer, size);
                enclose(buffer, Opcode::Text, size)
            }
            Self::Hixie75 | Self::Hixie76 => {
                let end = LONGEST_SENT + encode(buffer, size);
                buffer[LONGEST_SENT - 1] = 0x00;
                buffer[end] = 0xff;
                LONGEST_SENT - 1..end + 1
            }
        }
    }

    /// How much payload so many bytes of frames carry, but for their headers.
    #[must_use]
    pub const fn carried(self, bytes: usize) -> usize {
        match self {
            Self::Binary => bytes,
            Self::Base64 | Self::Hixie75 | Self::Hixie76 => bytes / 4 * 3,
        }
    }

    /// Our goodbye, as far as the framing has words for it.
    #[must_use]
    pub fn close(self, close: &Close) -> Vec<u8> {
        match self {
            Self::Binary | Self::Base64 => {
                let mut frame = Vec::new();
                frame::append(&mut frame, Opcode::Close, &close.payload());
                frame
            }
            Self::Hixie75 => Vec::new(),
            Self::Hixie76 => vec![0xff, 0x00],
        }
    }

    /// Whether clients know pings, and answer our goodbye. Those of old wait for our end of file.
    #[must_use]
    pub const fn has_control_frames(self) -> bool {
        matches!(self, Self::Binary | Self::Base64)
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::Base64 => "base64",
            Self::Hixie75 => "hixie-75",
            Self::Hixie76 => "hixie-76",
        })
    }
}

/// Writes the header of a frame whose payload stands behind the room for one.
fn enclose(buffer: &mut [u8], opcode: Opcode, size: usize) -> Range<usize> {
    let Some((room, _)) = buffer.split_first_chunk_mut() else {
        return 0..0;
    };
    let header = frame::write_before(room, opcode, size);
    LONGEST_SENT - header..LONGEST_SENT + size
}

/// Writes the payload as text behind the room for a header. Returns how long it is.
fn encode(buffer: &mut [u8], size: usize) -> usize {
    let (text, payload) = buffer.split_at_mut(BEFORE_TEXT);
    let encoded = BASE64_STANDARD.encode_slice(&payload[..size], &mut text[LONGEST_SENT..]);
    // There is room for the longest: see BEFORE_TEXT.
    encoded.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{BASE64_STANDARD, Close, Engine, Framing, ROOM, limits};
    use crate::websocket::legacy::hixie;

    fn framed(framing: Framing, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0xee; ROOM];
        let room = framing.payload();
        buffer[room][..payload.len()].copy_from_slice(payload);
        let frame = framing.enclose(&mut buffer, payload.len());
        buffer[frame].to_vec()
    }

    #[test]
    fn text_is_written_in_front_of_the_payload_and_never_over_it() {
        let most = limits::TEXT_FRAME;
        for size in [1, 2, 3, 4, 93, 94, 49_149, 49_150, most - 2, most - 1, most] {
            let payload: Vec<u8> = (0..size)
                .map(|at| (at ^ (at >> 8)).to_le_bytes()[0])
                .collect();
            let text = BASE64_STANDARD.encode(&payload).into_bytes();
            let mut frame = Vec::new();
            super::frame::append(&mut frame, super::Opcode::Text, &text);
            assert!(framed(Framing::Base64, &payload) == frame, "{size}");
            for framing in [Framing::Hixie75, Framing::Hixie76] {
                let mut frame = framed(framing, &payload);
                assert!(frame == [&[0], &text[..], &[0xff]].concat(), "{size}");
                // And what we write, we read.
                let read = hixie::Decoder::default().decode(&mut frame);
                assert!(frame[read.payload] == payload, "{size}");
            }
        }
        let payload = vec![7; limits::CHUNK];
        let frame = framed(Framing::Binary, &payload);
        assert!(frame.ends_with(&payload) && frame.len() == ROOM);
    }

    #[test]
    fn goodbyes() {
        let close = Close::TARGET_CLOSED;
        assert_eq!(Framing::Base64.close(&close), Framing::Binary.close(&close));
        assert_eq!(Framing::Hixie75.close(&close), b"");
        assert_eq!(Framing::Hixie76.close(&close), b"\xff\0");
    }
}
