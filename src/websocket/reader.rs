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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Framing, Reader};
    use crate::websocket::decoder::End;
    use crate::websocket::frame::{self, Opcode};
    use crate::websocket::mask::unmask;

    /// All that a stream gives in such pieces; read by one decoder, or by another for each piece.
    fn read(
        framing: Framing,
        stream: &[u8],
        cuts: &[usize],
        handed_over: bool,
    ) -> (Vec<u8>, Vec<u8>, Vec<usize>, Option<End>) {
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        bounds.extend([0, stream.len()]);
        bounds.sort_unstable();
        let mut reader = Reader::new(framing);
        reader.mark_messages();
        let (mut data, mut replies, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for pair in bounds.windows(2) {
            if handed_over {
                assert!(reader.is_sound(), "{reader:?}");
                let text = serde_json::to_string(&reader).unwrap();
                reader = serde_json::from_str(&text).unwrap();
            }
            let mut piece = stream[pair[0]..pair[1]].to_vec();
            let decoded = reader.decode(&mut piece, &mut replies);
            ends.extend(decoded.ends.iter().map(|end| data.len() + end));
            data.extend_from_slice(&piece[decoded.payload]);
            if decoded.end.is_some() {
                return (data, replies, ends, decoded.end);
            }
        }
        (data, replies, ends, None)
    }

    /// Bytes that are a frame more often than noise is: masked ones whose mask is nothing.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let opcode = prop::sample::select(vec![0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x89, 0x8a]);
        let payload = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(prop::sample::select(b"QUJD=\n".to_vec()), 0..60),
        ];
        (opcode, payload, any::<[u8; 4]>()).prop_map(|(first, payload, mask)| {
            let mut out = Vec::new();
            frame::append(&mut out, Opcode::Binary, &payload);
            let header = out.len() - payload.len();
            out[0] = first;
            out[1] |= 0x80;
            unmask(&mut out[header..], mask);
            out.splice(header..header, mask);
            out
        })
    }

    fn old_frames() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"QUJD=\n".to_vec()), 0..60)
            .prop_map(|text| [&[0], &text[..], &[0xff]].concat())
    }

    proptest! {
        #[test]
        fn another_decoder_goes_on_wherever_one_was(
            frames in prop::collection::vec(frames(), 0..8),
            old in prop::collection::vec(old_frames(), 0..8),
            noise in prop::collection::vec(any::<u8>(), 0..20),
            cuts in prop::collection::vec(0usize..1600, 0..20),
        ) {
            for framing in [Framing::Binary, Framing::Base64, Framing::Hixie75] {
                let frames = if framing.has_control_frames() { &frames } else { &old };
                let stream = [frames.concat(), noise.clone()].concat();
                let whole = read(framing, &stream, &cuts, false);
                prop_assert_eq!(read(framing, &stream, &cuts, true), whole);
            }
        }
    }
}
