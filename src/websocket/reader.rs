//! The client's stream, in the framing that was agreed on.

use serde::{Deserialize, Serialize};

use super::decoder::{self, Decoded};
use super::framing::Framing;
use super::legacy::hixie;

/// Reads one client's frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reader {
    /// Of RFC 6455 and its drafts from 07 on.
    Rfc6455(decoder::Decoder),
    /// Of the drafts before.
    Hixie(hixie::Decoder),
}

impl Reader {
    /// A stream from its beginning.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Binary => Self::Rfc6455(decoder::Decoder::default()),
            Framing::Base64 => Self::Rfc6455(decoder::Decoder::of_base64()),
            Framing::Hixie75 | Framing::Hixie76 => Self::Hixie(hixie::Decoder::default()),
        }
    }

    /// Decodes `piece` in place. Answers to pings are appended to `replies` as whole frames.
    pub fn decode(&mut self, piece: &mut [u8], replies: &mut Vec<u8>) -> Decoded {
        match self {
            Self::Rfc6455(decoder) => decoder.decode(piece, replies),
            Self::Hixie(decoder) => decoder.decode(piece),
        }
    }

    /// Tells from now on where messages end, for a recording.
    pub fn mark_messages(&mut self) {
        match self {
            Self::Rfc6455(decoder) => decoder.mark_messages(),
            Self::Hixie(decoder) => decoder.mark_messages(),
        }
    }

    /// Whether a decoder can be where this one is: asked of one that another process left.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Rfc6455(decoder) => decoder.is_sound(),
            Self::Hixie(decoder) => decoder.is_sound(),
        }
    }

    /// Whether the stream stands between two frames.
    #[must_use]
    pub fn between_frames(&self) -> bool {
        match self {
            Self::Rfc6455(decoder) => decoder.between_frames(),
            Self::Hixie(decoder) => decoder.between_frames(),
        }
    }
}
