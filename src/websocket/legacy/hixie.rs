//! Frames of draft-hixie-thewebsocketprotocol-75 and -76: `00`, text, `ff`. The text is base64,
//! because it cannot hold bytes. Draft 76 closes with `ff 00`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::websocket::base64;
use crate::websocket::close::{Close, Violation};
use crate::websocket::decoder::{Decoded, End};

/// Where in its stream of frames a client is. It takes a few bytes, whatever the frame's length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decoder {
    at: At,
    text: base64::Decoder,
    marking: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum At {
    #[default]
    Between,
    /// Behind `00`. A frame that ends here says nothing: some clients keep a connection alive so.
    Begin,
    Text,
    /// Behind `ff`, where a frame would begin.
    Closing,
}

impl Decoder {
    /// See [`crate::websocket::decoder::Decoder::decode`]; there are no pings.
    pub fn decode(&mut self, piece: &mut [u8]) -> Decoded {
        let mut decoded = Decoded::default();
        let mut at = 0;
        while at < piece.len() && decoded.end.is_none() {
            decoded.end = self.step(piece, &mut at, &mut decoded).err();
        }
        decoded
    }

    /// See [`crate::websocket::decoder::Decoder::mark_messages`].
    pub fn mark_messages(&mut self) {
        self.marking = true;
    }

    /// Whether the stream stands between two frames.
    #[must_use]
    pub fn between_frames(&self) -> bool {
        self.at == At::Between
    }

    /// See [`crate::websocket::reader::Reader::is_sound`].
    pub(in crate::websocket) fn is_sound(&self) -> bool {
        self.text.is_sound()
    }

    /// Takes one byte that is not text, or one run of text.
    fn step(&mut self, piece: &mut [u8], at: &mut usize, decoded: &mut Decoded) -> Result<(), End> {
        let byte = piece[*at];
        let after = match (self.at, byte) {
            (At::Between, 0x00) => At::Begin,
            (At::Between, 0xff) => At::Closing,
            (At::Closing, 0x00) => return Err(End::Close(Close::NO_STATUS)),
            (At::Between | At::Closing, other) => {
                return Err(End::Violation(Violation::FrameType(other)));
            }
            (At::Begin, 0xff) => At::Between,
            (At::Text, 0xff) => {
                self.text.finish().map_err(End::Violation)?;
                if self.marking {
                    decoded.ends.push(decoded.payload.len());
                }
                At::Between
            }
            (At::Begin | At::Text, _) => {
                self.at = At::Text;
                let rest = &piece[*at..];
                let size = rest.iter().position(|&byte| byte == 0xff);
                let run = *at..*at + size.unwrap_or(rest.len());
                *at = run.end;
                return self.take(piece, run, &mut decoded.payload);
            }
        };
        self.at = after;
        *at += 1;
        Ok(())
    }

    fn take(
        &mut self,
        piece: &mut [u8],
        run: Range<usize>,
        payload: &mut Range<usize>,
    ) -> Result<(), End> {
        let (size, result) = self.text.decode(&mut piece[run.clone()]);
        if payload.start == payload.end {
            *payload = run.start..run.start + size;
        } else {
            piece.copy_within(run.start..run.start + size, payload.end);
            payload.end += size;
        }
        result.map_err(End::Violation)
    }
}

#[cfg(test)]
mod tests {
    use ::base64::Engine;
    use ::base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::{Close, Decoder, End, Violation};

    /// Everything a stream gives when it arrives in the given pieces: bytes, where messages end in
    /// them, and the end.
    fn decoded(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<usize>, Option<End>) {
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        bounds.extend([0, stream.len()]);
        bounds.sort_unstable();
        let (mut data, mut ends) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::default();
        decoder.mark_messages();
        for pair in bounds.windows(2) {
            let mut piece = stream[pair[0]..pair[1]].to_vec();
            let decoded = decoder.decode(&mut piece);
            ends.extend(decoded.ends.iter().map(|end| data.len() + end));
            data.extend_from_slice(&piece[decoded.payload]);
            if decoded.end.is_some() {
                return (data, ends, decoded.end);
            }
        }
        (data, ends, None)
    }

    #[test]
    fn frames_and_their_ends_at_every_split() {
        let close = Some(End::Close(Close::NO_STATUS));
        let violation = |what| Some(End::Violation(what));
        for (stream, data, ends, end) in [
            (
                &b"\0aGVsbG8=\xff\0IQ==\xff"[..],
                &b"hello!"[..],
                &[5, 6][..],
                None,
            ),
            (b"\0\xff\0IQ==\xff\0\xff", b"!", &[1], None),
            (b"\0IQ==\xff\xff\0\0IQ==\xff", b"!", &[1], close.clone()),
            (b"\xff\0", b"", &[], close),
            (
                b"\0IQ==\xff\x80",
                b"!",
                &[1],
                violation(Violation::FrameType(0x80)),
            ),
            (
                b"\0IQ==\xff\xff\x05",
                b"!",
                &[1],
                violation(Violation::FrameType(5)),
            ),
            (b"\0I\xff", b"", &[], violation(Violation::Base64)),
            (b"\0IQ==IQ==\xff", b"!", &[], violation(Violation::Base64)),
            (b"GET /", b"", &[], violation(Violation::FrameType(b'G'))),
        ] {
            let expected = (data.to_vec(), ends.to_vec(), end);
            for cut in 0..=stream.len() {
                assert_eq!(decoded(stream, &[cut]), expected, "{stream:?} cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_bytes(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8),
            cuts in prop::collection::vec(0usize..4000, 0..20),
        ) {
            let (mut stream, mut ends, mut size) = (Vec::new(), Vec::new(), 0);
            for message in &messages {
                stream.push(0);
                stream.extend_from_slice(BASE64_STANDARD.encode(message).as_bytes());
                stream.push(0xff);
                size += message.len();
                ends.push(size);
            }
            prop_assert_eq!(decoded(&stream, &cuts), (messages.concat(), ends, None));
        }

        #[test]
        fn noise_never_panics_and_gives_the_same_at_any_split(
            noise in prop::collection::vec(
                prop_oneof![Just(0), Just(0xff), Just(b'A'), Just(b'='), any::<u8>()], 0..60),
            cuts in prop::collection::vec(0usize..60, 0..8),
        ) {
            prop_assert_eq!(decoded(&noise, &cuts), decoded(&noise, &[]));
        }
    }
}
