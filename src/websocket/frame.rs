//! One frame header, both ways (RFC 6455, 5.2).

use serde::{Deserialize, Serialize};

use super::close::Violation;

/// The longest header a client can send: two bytes, an eight-byte length, a mask.
pub const LONGEST: usize = 14;

/// The longest header that we send: no mask.
pub const LONGEST_SENT: usize = 10;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub const CONTROL_PAYLOAD: usize = 125;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are RFC 6455's")]
pub enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(bits: u8) -> Result<Self, Violation> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            unknown => return Err(Violation::Opcode(unknown)),
        })
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }
}

/// A client's frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// What it carries.
    pub opcode: Opcode,
    /// The mask of the payload.
    pub mask: [u8; 4],
    /// Bytes of payload that follow.
    pub length: u64,
}

/// Reads a header from the front of `bytes`: the header and its size, or `None` when more bytes
/// are needed. A fault is reported at the first byte that shows it.
///
/// # Errors
/// What no server may accept from a client: reserved bits and opcodes, no mask, a length that is
/// not written in the fewest bytes, a control frame that is long or a fragment.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    let fin = first & 0x80 != 0;
    let opcode = Opcode::parse(first & 0x0f)?;
    match opcode {
        Opcode::Close if !fin => return Err(Violation::Fragmented("close")),
        Opcode::Ping if !fin => return Err(Violation::Fragmented("ping")),
        Opcode::Pong if !fin => return Err(Violation::Fragmented("pong")),
        _ => {}
    }
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    if second & 0x80 == 0 {
        return Err(Violation::Unmasked);
    }
    let short = second & 0x7f;
    if first & 0x08 != 0 && usize::from(short) > CONTROL_PAYLOAD {
        return Err(Violation::ControlTooLong);
    }
    let rest = &bytes[2..];
    let (length, rest) = match short {
        126 => match rest.split_first_chunk() {
            Some((long, rest)) => (u64::from(u16::from_be_bytes(*long)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((long, rest)) => (u64::from_be_bytes(*long), rest),
            None => return Ok(None),
        },
        short => (u64::from(short), rest),
    };
    // The most significant bit must be 0 as well (5.2).
    if (short == 126 && length < 126) || (short == 127 && length >> 16 == 0) || length >> 63 != 0 {
        return Err(Violation::Length);
    }
    let Some((mask, rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    Ok(Some((
        Header {
            fin,
            opcode,
            mask: *mask,
            length,
        },
        bytes.len() - rest.len(),
    )))
}

/// Writes the header of an unfragmented frame of ours so that it ends where the payload begins:
/// into the end of `room`. Returns how many bytes it took.
pub fn write_before(room: &mut [u8; LONGEST_SENT], opcode: Opcode, length: usize) -> usize {
    let first = 0x80 | opcode.bits();
    let length = length as u64;
    if let Ok(short @ 0..126) = u8::try_from(length) {
        room[8..].copy_from_slice(&[first, short]);
        2
    } else if let Ok(long) = u16::try_from(length) {
        room[6..8].copy_from_slice(&[first, 126]);
        room[8..].copy_from_slice(&long.to_be_bytes());
        4
    } else {
        room[..2].copy_from_slice(&[first, 127]);
        room[2..].copy_from_slice(&length.to_be_bytes());
        10
    }
}

/// Appends a whole frame of ours to `out`.
pub fn append(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let mut room = [0; LONGEST_SENT];
    let size = write_before(&mut room, opcode, payload.len());
    out.extend_from_slice(&room[LONGEST_SENT - size..]);
    out.extend_from_slice(payload);
}

/// A client's frame, for tests: first byte as given, masked, the length in its shortest form.
#[cfg(any(test, fuzzing))]
pub(crate) fn of_a_client(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = Vec::new();
    append(&mut out, Opcode::Binary, payload);
    out[0] = first;
    out[1] |= 0x80;
    let header = out.len() - payload.len();
    super::mask::unmask(&mut out[header..], MASK);
    out.splice(header..header, MASK);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

    use super::{Header, LONGEST_SENT, Opcode, Violation, parse, write_before};

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn theirs(opcode: Opcode) -> OpCode {
        match opcode {
            Opcode::Continuation => OpCode::Data(Data::Continue),
            Opcode::Text => OpCode::Data(Data::Text),
            Opcode::Binary => OpCode::Data(Data::Binary),
            Opcode::Close => OpCode::Control(Control::Close),
            Opcode::Ping => OpCode::Control(Control::Ping),
            Opcode::Pong => OpCode::Control(Control::Pong),
        }
    }

    /// A header as tungstenite writes it: our oracle.
    fn written(header: Header) -> Vec<u8> {
        let mut bytes = Vec::new();
        FrameHeader {
            is_final: header.fin,
            opcode: theirs(header.opcode),
            mask: Some(header.mask),
            ..FrameHeader::default()
        }
        .format(header.length, &mut bytes)
        .unwrap();
        bytes
    }

    #[test]
    fn reads_what_tungstenite_writes_and_waits_at_every_prefix() {
        for opcode in [Opcode::Continuation, Opcode::Text, Opcode::Binary] {
            for length in [0, 1, 125, 126, 127, 65535, 65536, 1 << 40] {
                for fin in [false, true] {
                    let header = Header {
                        fin,
                        opcode,
                        mask: MASK,
                        length,
                    };
                    let bytes = written(header);
                    for cut in 0..bytes.len() {
                        assert_eq!(parse(&bytes[..cut]), Ok(None), "{header:?} cut at {cut}");
                    }
                    assert_eq!(parse(&bytes), Ok(Some((header, bytes.len()))));
                }
            }
        }
    }

    #[test]
    fn tungstenite_reads_what_we_write() {
        for length in [0usize, 1, 125, 126, 65535, 65536, 1 << 30] {
            let mut room = [0xee; LONGEST_SENT];
            let size = write_before(&mut room, Opcode::Binary, length);
            let sent = &room[LONGEST_SENT - size..];
            let (header, read) = FrameHeader::parse(&mut Cursor::new(sent)).unwrap().unwrap();
            assert_eq!(read, length as u64);
            assert!(header.is_final && header.mask.is_none());
            assert_eq!(header.opcode, OpCode::Data(Data::Binary));
        }
    }

    #[test]
    fn faults_show_at_the_first_byte_that_has_them() {
        for (bytes, fault) in [
            (&[0xc2][..], Violation::ReservedBits),
            (&[0xa2], Violation::ReservedBits),
            (&[0x92], Violation::ReservedBits),
            (&[0x83], Violation::Opcode(3)),
            (&[0x8b], Violation::Opcode(11)),
            (&[0x08], Violation::Fragmented("close")),
            (&[0x09], Violation::Fragmented("ping")),
            (&[0x0a], Violation::Fragmented("pong")),
            (&[0x82, 0x05], Violation::Unmasked),
            (&[0x89, 0xfe], Violation::ControlTooLong),
            (&[0x82, 0xfe, 0, 125], Violation::Length),
            (
                &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Violation::Length,
            ),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0], Violation::Length),
        ] {
            assert_eq!(parse(bytes), Err(fault), "{bytes:x?}");
            assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_read_as_tungstenite_reads_it_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..16)
        ) {
            if let Ok(Some((header, size))) = parse(&bytes) {
                let (oracle, length) = FrameHeader::parse(&mut Cursor::new(&bytes)).unwrap().unwrap();
                prop_assert_eq!(written(header), &bytes[..size]);
                prop_assert_eq!((length, oracle.is_final), (header.length, header.fin));
                prop_assert_eq!(oracle.opcode, theirs(header.opcode));
            }
        }
    }
}
