//! The client's stream of frames, in whatever pieces it arrives, turned into payload and events.
//!
//! No message is ever assembled: payload is unmasked where it was read and goes on at once, so a
//! frame of any announced size costs the same few bytes of state.

use std::ops::Range;

use super::close::{Close, Violation};
use super::frame::{self, Header, Opcode};
use super::mask::unmask;
use super::small;

/// Where in its stream of frames a client is.
#[derive(Debug, Default)]
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
}

/// What one piece of the stream held.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Where in the piece the payload now stands, unmasked and without gaps.
    pub payload: Range<usize>,
    /// Set when the stream ended here; what follows in the piece is not looked at.
    pub end: Option<End>,
}

/// How a client's stream of frames ends.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The client closed.
    Close(Close),
    /// The client broke the protocol.
    Violation(Violation),
}

impl Decoder {
    /// Decodes `piece` in place. Answers to pings are appended to `replies` as whole frames.
    pub fn decode(&mut self, piece: &mut [u8], replies: &mut Vec<u8>) -> Decoded {
        let mut payload = 0..0;
        let mut at = 0;
        let end = loop {
            match self.step(piece, &mut at, &mut payload, replies) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(end) => break Some(end),
            }
        };
        Decoded { payload, end }
    }

    /// Whether the stream stands between two frames.
    #[must_use]
    pub fn between_frames(&self) -> bool {
        self.remaining == 0 && self.head_len == 0
    }

    /// Takes one header or one run of payload; `Ok(false)` when the piece is used up.
    fn step(
        &mut self,
        piece: &mut [u8],
        at: &mut usize,
        payload: &mut Range<usize>,
        replies: &mut Vec<u8>,
    ) -> Result<bool, End> {
        if self.remaining == 0 {
            if self.head_len == 0 && !self.in_message {
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
            // The first run stays where it is; later ones close up to it.
            None if payload.start == payload.end => *payload = run,
            None => {
                piece.copy_within(run, payload.end);
                payload.end += here;
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
            Opcode::Text => return Err(Violation::Text),
            Opcode::Binary if self.in_message => return Err(Violation::NewFrame),
            Opcode::Continuation if !self.in_message => return Err(Violation::Continuation),
            Opcode::Binary | Opcode::Continuation => self.in_message = !header.fin,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.control = Some(header.opcode);
                self.control_payload.clear();
            }
        }
        self.remaining = header.length;
        self.mask = header.mask;
        Ok(())
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
mod tests {
    use proptest::prelude::*;

    use super::{Close, Decoded, Decoder, End, Opcode, Violation, frame, unmask};

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A client's frame: first byte as given, masked, the length in its shortest form.
    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame::append(&mut out, Opcode::Binary, payload);
        out[0] = first;
        out[1] |= 0x80;
        let header = out.len() - payload.len();
        unmask(&mut out[header..], MASK);
        out.splice(header..header, MASK);
        out
    }

    /// Everything a stream gives when it arrives in the given pieces.
    fn decoded(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>, Option<End>) {
        let (mut data, mut replies) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::default();
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        bounds.extend([0, stream.len()]);
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            let mut piece = stream[pair[0]..pair[1]].to_vec();
            let Decoded { payload, end } = decoder.decode(&mut piece, &mut replies);
            data.extend_from_slice(&piece[payload]);
            if end.is_some() {
                return (data, replies, end);
            }
        }
        (data, replies, None)
    }

    #[test]
    fn fragments_with_a_ping_between_at_every_split() {
        let mut stream = client(0x02, b"frag");
        stream.extend(client(0x89, b"are you there"));
        stream.extend(client(0x00, b""));
        stream.extend(client(0x80, b"ments"));
        stream.extend(client(0x8a, b"unasked"));
        stream.extend(client(0x82, &[7; 300]));
        stream.extend(client(0x88, b"\x03\xe8bye"));
        stream.extend(client(0x82, b"after the end"));
        let mut expected = b"fragments".to_vec();
        expected.extend([7; 300]);
        let close = Close {
            code: 1000,
            reason: "bye".into(),
        };
        let mut pong = Vec::new();
        frame::append(&mut pong, Opcode::Pong, b"are you there");
        for cut in 0..=stream.len() {
            let got = decoded(&stream, &[cut]);
            assert_eq!(
                got,
                (
                    expected.clone(),
                    pong.clone(),
                    Some(End::Close(close.clone()))
                )
            );
        }
        let each: Vec<usize> = (0..stream.len()).collect();
        assert_eq!(
            decoded(&stream, &each),
            (expected, pong, Some(End::Close(close)))
        );
    }

    #[test]
    fn what_breaks_a_message() {
        for (frames, fault) in [
            (vec![client(0x80, b"x")], Violation::Continuation),
            (
                vec![client(0x02, b""), client(0x82, b"x")],
                Violation::NewFrame,
            ),
            (
                vec![client(0x02, b"x"), client(0x80, b"y"), client(0x80, b"z")],
                Violation::Continuation,
            ),
            (vec![client(0x81, b"text")], Violation::Text),
            (vec![client(0x88, b"\x03")], Violation::CloseCode),
            (vec![client(0x88, b"\x03\xe8\xff")], Violation::CloseReason),
        ] {
            let (_, _, end) = decoded(&frames.concat(), &[]);
            assert_eq!(end, Some(End::Violation(fault)));
        }
    }

    #[test]
    fn what_came_before_a_fault_is_delivered() {
        let mut stream = client(0x82, b"kept");
        stream.extend([0xff, 0xff]);
        let (data, _, end) = decoded(&stream, &[]);
        assert_eq!(data, b"kept");
        assert_eq!(end, Some(End::Violation(Violation::ReservedBits)));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_bytes(
            frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..12),
            cuts in prop::collection::vec(0usize..4000, 0..20),
        ) {
            let (mut stream, mut expected, mut pongs) = (Vec::new(), Vec::new(), Vec::new());
            for (ping, payload) in &frames {
                if *ping {
                    let payload = &payload[..payload.len().min(125)];
                    stream.extend(client(0x89, payload));
                    frame::append(&mut pongs, Opcode::Pong, payload);
                } else {
                    stream.extend(client(0x82, payload));
                    expected.extend_from_slice(payload);
                }
            }
            prop_assert_eq!(decoded(&stream, &cuts), (expected, pongs, None));
        }

        #[test]
        fn noise_never_panics_and_gives_the_same_at_any_split(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            prop_assert_eq!(decoded(&noise, &cuts), decoded(&noise, &[]));
        }
    }
}
