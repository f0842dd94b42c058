//! The client's stream of frames, in whatever pieces it arrives, turned into payload and events.
//!
//! No message is ever assembled: payload is unmasked where it was read and goes on at once, so a
//! frame of any announced size costs the same few bytes of state.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::base64;
use super::close::{Close, Violation};
use super::frame::{self, Header, Opcode};
use super::mask::unmask;
use super::small;

/// Where in its stream of frames a client is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decoder {
    /// A header of which only the front has arrived.
    head: [u8; frame::LONGEST],
    head_len: usize,
    /// Payload of the present frame still to come, and the mask for its next byte.
    remaining: u64,
    mask: [u8; 4],
    /// The control frame whose payload is coming; `None` while it is data.
    control: Option<Opcode>,
    /// Its payload so far: at most 125 bytes, and no memory until one arrives.
    control_payload: Vec<u8>,
    /// A message is open: only a continuation or a control frame may begin.
    in_message: bool,
    /// Messages are base64, in text frames or in binary ones.
    text: Option<base64::Decoder>,
    /// Whether somebody wants to know where messages end.
    marking: bool,
}

/// What one piece of the stream held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Where in the piece the payload now stands, unmasked and without gaps.
    pub payload: Range<usize>,
    /// Where in the payload messages end, if [`Decoder::mark_messages`] was called.
    pub ends: Vec<usize>,
    /// Set when the stream ended here; what follows in the piece is not looked at.
    pub end: Option<End>,
}

/// How a client's stream of frames ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed.
    Close(Close),
    /// The client broke the protocol.
    Violation(Violation),
}

impl Decoder {
    /// Of a client whose messages are base64.
    #[must_use]
    pub fn of_base64() -> Self {
        Self {
            text: Some(base64::Decoder::default()),
            ..Self::default()
        }
    }

    /// Decodes `piece` in place. Answers to pings are appended to `replies` as whole frames.
    pub fn decode(&mut self, piece: &mut [u8], replies: &mut Vec<u8>) -> Decoded {
        let mut decoded = Decoded::default();
        let mut at = 0;
        decoded.end = loop {
            match self.step(piece, &mut at, &mut decoded, replies) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(end) => break Some(end),
            }
        };
        decoded
    }

    /// Tells from now on where messages end, for a recording.
    pub fn mark_messages(&mut self) {
        self.marking = true;
    }

    /// Whether the stream stands between two frames.
    #[must_use]
    pub fn between_frames(&self) -> bool {
        self.remaining == 0 && self.head_len == 0
    }

    /// See [`super::reader::Reader::is_sound`].
    pub(super) fn is_sound(&self) -> bool {
        let head = self.head.get(..self.head_len);
        let waits = head.is_some_and(|head| matches!(frame::parse(head), Ok(None)));
        let fits = self
            .remaining
            .checked_add(self.control_payload.len() as u64);
        waits
            && (self.control.is_none()
                || fits.is_some_and(|it| it <= frame::CONTROL_PAYLOAD as u64))
            && self.text.as_ref().is_none_or(base64::Decoder::is_sound)
    }

    /// Takes one header or one run of payload; `Ok(false)` when the piece is used up.
    fn step(
        &mut self,
        piece: &mut [u8],
        at: &mut usize,
        decoded: &mut Decoded,
        replies: &mut Vec<u8>,
    ) -> Result<bool, End> {
        let payload = &mut decoded.payload;
        if self.remaining == 0 {
            if self.head_len == 0 && !self.in_message && !self.marking && self.text.is_none() {
                small::take(piece, at, payload);
            }
            let Some(header) = self
                .next_header(&piece[*at..], at)
                .map_err(End::Violation)?
            else {
                return Ok(false);
            };
            self.begin(header).map_err(End::Violation)?;
        }
        let here = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(piece.len() - *at);
        let run = *at..*at + here;
        *at += here;
        self.remaining -= here as u64;
        self.mask = unmask(&mut piece[run.clone()], self.mask);
        match self.control {
            Some(opcode) => {
                self.control_payload.extend_from_slice(&piece[run]);
                if self.remaining == 0 {
                    self.finish_control(opcode, replies)?;
                }
            }
            None => {
                let (here, result) = match &mut self.text {
                    None => (here, Ok(())),
                    Some(text) => text.decode(&mut piece[run.clone()]),
                };
                if payload.start == payload.end {
                    // The first run stays where it is; later ones close up to it.
                    *payload = run.start..run.start + here;
                } else {
                    piece.copy_within(run.start..run.start + here, payload.end);
                    payload.end += here;
                }
                result.map_err(End::Violation)?;
                if self.remaining == 0 && !self.in_message {
                    self.finish_message().map_err(End::Violation)?;
                    if self.marking {
                        decoded.ends.push(payload.len());
                    }
                }
            }
        }
        Ok(*at < piece.len())
    }

    /// Reads a header that may have begun in an earlier piece.
    fn next_header(&mut self, piece: &[u8], at: &mut usize) -> Result<Option<Header>, Violation> {
        if self.head_len == 0 {
            if let Some((header, size)) = frame::parse(piece)? {
                *at += size;
                return Ok(Some(header));
            }
        }
        let before = self.head_len;
        let fits = piece.len().min(frame::LONGEST - before);
        self.head[before..before + fits].copy_from_slice(&piece[..fits]);
        self.head_len += fits;
        let Some((header, size)) = frame::parse(&self.head[..self.head_len])? else {
            *at += fits;
            return Ok(None);
        };
        self.head_len = 0;
        *at += size - before;
        Ok(Some(header))
    }

    /// Holds a header against the message it belongs to (RFC 6455, 5.4).
    fn begin(&mut self, header: Header) -> Result<(), Violation> {
        self.control = None;
        match header.opcode {
            Opcode::Text if self.text.is_none() => return Err(Violation::Text),
            Opcode::Text | Opcode::Binary if self.in_message => return Err(Violation::NewFrame),
            Opcode::Continuation if !self.in_message => return Err(Violation::Continuation),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.in_message = !header.fin,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.control = Some(header.opcode);
                self.control_payload.clear();
            }
        }
        self.remaining = header.length;
        self.mask = header.mask;
        Ok(())
    }

    fn finish_message(&mut self) -> Result<(), Violation> {
        self.text.as_mut().map_or(Ok(()), base64::Decoder::finish)
    }

    fn finish_control(&mut self, opcode: Opcode, replies: &mut Vec<u8>) -> Result<(), End> {
        match opcode {
            Opcode::Close => {
                let close = Close::parse(&self.control_payload);
                return Err(close.map_or_else(End::Violation, End::Close));
            }
            Opcode::Ping => frame::append(replies, Opcode::Pong, &self.control_payload),
            // A pong proves life by arriving; data never comes here.
            Opcode::Pong | Opcode::Text | Opcode::Binary | Opcode::Continuation => {}
        }
        // Most clients never ping: those that did once hold no memory for it.
        self.control_payload = Vec::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
