//! Frames both ways and requests for a WebSocket, held against tungstenite and the base64 crate.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use hyper::http::{HeaderName, HeaderValue, Request};
use openssl::hash::{MessageDigest, hash};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

use super::base64;
use super::close::{Close, NO_STATUS, Violation};
use super::decoder::End;
use super::frame::{self, CONTROL_PAYLOAD, Opcode};
use super::framing::{Framing, ROOM};
use super::handshake::{self, Terms};
use super::reader::Reader;
use crate::fuzz::{Input, pieces};

/// Takes what we take: padding must be there, bits that say nothing may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The longest frame that the oracle is asked about.
const LONGEST: usize = 1 << 16;

/// Everything that a stream gives.
#[derive(Debug, PartialEq)]
struct Got {
    data: Vec<u8>,
    replies: Vec<u8>,
    ends: Vec<usize>,
    end: Option<End>,
}

/// How a stream is read.
#[derive(Clone, Copy)]
enum How {
    Plainly,
    /// As for a recording.
    Marking,
    /// By another process for each piece, as for a recording.
    HandedOver,
}

fn read(framing: Framing, stream: &[u8], cuts: &[usize], how: How) -> Got {
    let mut reader = Reader::new(framing);
    if !matches!(how, How::Plainly) {
        reader.mark_messages();
    }
    let mut got = Got {
        data: Vec::new(),
        replies: Vec::new(),
        ends: Vec::new(),
        end: None,
    };
    for piece in pieces(stream, cuts) {
        if matches!(how, How::HandedOver) {
            assert!(reader.is_sound(), "{reader:?}");
            let text = serde_json::to_string(&reader).unwrap_or_default();
            reader = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
        let mut piece = piece.to_vec();
        let decoded = reader.decode(&mut piece, &mut got.replies);
        let before = got.data.len();
        got.ends.extend(decoded.ends.iter().map(|end| before + end));
        got.data.extend_from_slice(&piece[decoded.payload]);
        got.end = decoded.end;
        if got.end.is_some() {
            break;
        }
    }
    got
}

/// Reads a stream in every way there is, which must all give the same.
fn read_in_all_ways(framing: Framing, stream: &[u8], cuts: &[usize]) -> Got {
    let got = read(framing, stream, &[], How::Marking);
    assert_eq!(read(framing, stream, cuts, How::Marking), got);
    assert_eq!(read(framing, stream, cuts, How::HandedOver), got);
    for cuts in [&[], cuts] {
        let plain = read(framing, stream, cuts, How::Plainly);
        assert_eq!((plain.data, plain.end), (got.data.clone(), got.end.clone()));
        assert_eq!(plain.replies, got.replies);
    }
    got
}

/// A byte that says whether frames follow or bytes as they are; then where to cut them.
pub(crate) fn frames_in(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let cuts = input.cuts();
    let stream = match kind & 1 {
        0 => input.rest().to_vec(),
        _ => built(input),
    };
    if kind & 2 != 0 {
        read_in_all_ways(Framing::Base64, &stream, &cuts);
    }
    let got = read_in_all_ways(Framing::Binary, &stream, &cuts);
    compare(&got, &stream);
}

/// Whole frames, masked and of the right length: a first byte, how often its payload is repeated,
/// the payload.
fn built(mut input: Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while !input.is_empty() {
        let first = match input.byte() {
            // Mostly what there is: noise gets no further than the first byte.
            usual @ 0..0xf0 => {
                [0x82, 0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88][usize::from(usual % 8)]
            }
            other => other.wrapping_shl(3),
        };
        let times = [1, 2, 9, 700][usize::from(input.byte() % 4)];
        let payload = input.bytes().repeat(times);
        stream.extend(frame::of_a_client(first, &payload));
    }
    stream
}

/// What tungstenite makes of the same bytes.
#[derive(Default, Debug)]
struct Theirs {
    data: Vec<u8>,
    pongs: Vec<u8>,
    end: Option<Result<Option<Close>, Error>>,
}

fn theirs(stream: &[u8], role: Role) -> Theirs {
    let config = WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(Some(LONGEST));
    let mut socket = WebSocket::from_raw_socket(OneWay(Cursor::new(stream)), role, Some(config));
    let mut theirs = Theirs::default();
    loop {
        match socket.read() {
            Ok(Message::Binary(bytes)) => theirs.data.extend(bytes),
            Ok(Message::Text(text)) => theirs
                .data
                .extend(BASE64.decode(text.as_bytes()).ok().unwrap_or_default()),
            Ok(Message::Ping(bytes)) => frame::append(&mut theirs.pongs, Opcode::Pong, &bytes),
            Ok(Message::Pong(_) | Message::Frame(_)) => {}
            Ok(Message::Close(said)) => {
                let close = said.map(|said| Close {
                    code: said.code.into(),
                    reason: said.reason.as_str().to_owned().into(),
                });
                theirs.end = Some(Ok(close));
                return theirs;
            }
            Err(Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return theirs,
            Err(error) => {
                theirs.end = Some(Err(error));
                return theirs;
            }
        }
    }
}

/// What we read is what they read, or we are stricter and say in what.
fn compare(got: &Got, stream: &[u8]) {
    let mut oracle = theirs(stream, Role::Server);
    if oracle.end.is_none() && matches!(got.end, Some(End::Violation(_))) {
        // We tell at the first byte, they at the last of the frame.
        oracle = theirs(&[stream, &[0; LONGEST + 200]].concat(), Role::Server);
    }
    // They hand out whole messages, we every byte.
    let of_ours = got.data.len().min(oracle.data.len());
    match (&got.end, &oracle.end) {
        (None, Some(Err(Error::Capacity(_)))) => {}
        (None, None) => {
            assert!(got.data.starts_with(&oracle.data));
            assert_eq!(got.replies, oracle.pongs);
        }
        (Some(End::Close(ours)), Some(Ok(close))) => {
            assert!(got.data.starts_with(&oracle.data));
            assert_eq!(got.replies, oracle.pongs);
            assert_eq!(*ours, close.clone().unwrap_or(Close::NO_STATUS));
        }
        // They take text, and lengths in more bytes than needed, also of control frames.
        (
            Some(End::Violation(Violation::Text | Violation::Length | Violation::ControlTooLong)),
            _,
        ) => {}
        (Some(End::Violation(Violation::CloseCode)), Some(Ok(Some(close)))) => {
            assert_eq!(close.code, 1002);
        }
        (Some(End::Violation(_)), Some(Err(_))) => assert!(oracle.pongs.starts_with(&got.replies)),
        (Some(End::Close(_)), Some(Err(Error::Capacity(_)))) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(got.data[..of_ours], oracle.data[..of_ours]);
}

/// A byte for the framing; then for each frame how often its payload is repeated, and the payload.
pub(crate) fn frames_out(data: &[u8]) {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0xee; ROOM]));
    let mut input = Input::new(data);
    let framing = [
        Framing::Binary,
        Framing::Base64,
        Framing::Hixie75,
        Framing::Hixie76,
    ][usize::from(input.byte() % 4)];
    let (mut sent, mut stream) = (Vec::new(), Vec::new());
    while !input.is_empty() && sent.len() < 2 * LONGEST {
        let times = [1, 2, 9, 700][usize::from(input.byte() % 4)];
        let mut payload = input.bytes().repeat(times);
        // A frame is as long as the text of what was read, and the oracle has its bound.
        payload.truncate(framing.payload().len().min(LONGEST / 4 * 3));
        if payload.is_empty() {
            continue;
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer[framing.payload()][..payload.len()].copy_from_slice(&payload);
            let frame = framing.enclose(buffer, payload.len());
            stream.extend_from_slice(&buffer[frame]);
        });
        sent.extend(payload);
    }
    let goodbye = Close::TARGET_CLOSED;
    stream.extend(framing.close(&goodbye));
    if framing.has_control_frames() {
        let read = theirs(&stream, Role::Client);
        assert_eq!(read.data, sent);
        let Some(Ok(Some(close))) = read.end else {
            panic!("{:?}", read.end);
        };
        assert_eq!(close, goodbye);
    } else {
        let (data, end) = hixie(&stream);
        assert_eq!(data, sent);
        let closed = framing == Framing::Hixie76;
        assert_eq!(end, closed.then_some(Hixie::Closed));
    }
}

/// A close frame with this in it.
pub(crate) fn close_payload(data: &[u8]) {
    let payload = &data[..data.len().min(CONTROL_PAYLOAD)];
    let stream = frame::of_a_client(0x88, payload);
    compare(&read(Framing::Binary, &stream, &[], How::Plainly), &stream);
    if let Ok(close) = Close::parse(data) {
        let said = close.payload();
        assert!(said.len() <= CONTROL_PAYLOAD);
        let Ok(again) = Close::parse(&said) else {
            panic!("{close:?}");
        };
        assert_eq!(again.code, close.code);
        assert!(close.reason.starts_with(&*again.reason));
        assert!(close.code != NO_STATUS || said.is_empty());
    }
}

/// Where to cut, then base64.
pub(crate) fn base64_stream(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let text = input.rest();
    let mut decoder = base64::Decoder::default();
    let (mut bytes, mut result) = (Vec::new(), Ok(()));
    for piece in pieces(text, &cuts) {
        let mut piece = piece.to_vec();
        let (size, read) = decoder.decode(&mut piece);
        bytes.extend_from_slice(&piece[..size]);
        result = read;
        assert!(decoder.is_sound());
        if result.is_err() {
            break;
        }
    }
    let read = result.and_then(|()| decoder.finish()).is_ok();
    match unspaced(text) {
        Some(whole) => assert!(read && bytes == whole),
        None => assert!(!read),
    }
}

fn unspaced(text: &[u8]) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !b" \t\r\n".contains(byte))
        .collect();
    BASE64.decode(letters).ok()
}

/// A byte that says whether texts follow or bytes as they are; then where to cut them.
pub(crate) fn hixie_frames(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte();
    let cuts = input.cuts();
    let mut stream = Vec::new();
    if kind & 1 == 0 {
        stream.extend_from_slice(input.rest());
    } else {
        while !input.is_empty() {
            let text = BASE64.encode(input.bytes());
            stream.extend([&[0], text.as_bytes(), &[0xff]].concat());
        }
    }
    let got = read_in_all_ways(Framing::Hixie76, &stream, &cuts);
    let (data, end) = hixie(&stream);
    assert!(got.data.starts_with(&data));
    match (got.end, end) {
        (None, None) => {}
        (Some(End::Close(close)), Some(Hixie::Closed)) => assert_eq!(close, Close::NO_STATUS),
        (Some(End::Violation(_)), Some(Hixie::Broken)) => {}
        // The text of a frame that has not ended is wrong already.
        (Some(End::Violation(Violation::Base64)), None) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(got.replies, b"");
}

#[derive(Debug, PartialEq)]
enum Hixie {
    Closed,
    Broken,
}

/// The bytes of all whole frames, and the end if there is one: as draft 76, 5.3, has it.
fn hixie(mut stream: &[u8]) -> (Vec<u8>, Option<Hixie>) {
    let mut data = Vec::new();
    loop {
        let (text, rest) = match *stream {
            [] | [0xff] => return (data, None),
            [0xff, 0, ..] => return (data, Some(Hixie::Closed)),
            [0, ref rest @ ..] => match rest.iter().position(|byte| *byte == 0xff) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => return (data, None),
            },
            _ => return (data, Some(Hixie::Broken)),
        };
        stream = rest;
        match unspaced(text) {
            Some(bytes) => data.extend(bytes),
            None => return (data, Some(Hixie::Broken)),
        }
    }
}

/// A method and a path, each in a line, and headers, each in a line.
pub(crate) fn upgrade(data: &[u8]) {
    let mut input = Input::new(data);
    let mut request = Request::builder().method(input.line()).uri(input.line());
    while !input.is_empty() {
        let mut parts = input.line().splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let _ = handshake::is_asked_for(&request);
    let subprotocols = ["mqtt".to_owned()];
    for legacy in [false, true] {
        let terms = Terms {
            subprotocols: &subprotocols,
            legacy,
            secure: legacy,
        };
        match handshake::answer(&request, terms) {
            Err(refusal) => assert!(matches!(refusal.status.as_u16(), 400 | 426 | 501)),
            Ok(agreed) => {
                assert_eq!(agreed.answer.status(), 101);
                let text = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
                let answered = |name: &str| agreed.answer.headers().get(name);
                match text("sec-websocket-version") {
                    Some(_) => {
                        let key = text("sec-websocket-key").unwrap_or_default();
                        let accept = answered("sec-websocket-accept").map(HeaderValue::as_bytes);
                        assert_eq!(accept, Some(derive_accept_key(key).as_bytes()));
                        assert!(agreed.challenge.is_none());
                    }
                    None => assert!(legacy && answered("sec-websocket-accept").is_none()),
                }
                if let Some(challenge) = agreed.challenge {
                    let numbers = [1, 2].map(|which| {
                        let key = text(&format!("sec-websocket-key{which}"))
                            .or_else(|| text(&format!("websocket-key{which}")));
                        hidden(key.unwrap_or_default())
                    });
                    let asked = [&numbers.concat()[..], b"12345678"].concat();
                    let solution = hash(MessageDigest::md5(), &asked);
                    let solution = solution.ok().map(|it| it.to_vec());
                    assert_eq!(challenge.solve(*b"12345678"), solution);
                }
            }
        }
    }
}

/// The number in a key, as draft 76, 1.3, has it.
fn hidden(key: &[u8]) -> [u8; 4] {
    let digits: String = key
        .iter()
        .filter(|it| it.is_ascii_digit())
        .map(|it| char::from(*it))
        .collect();
    let spaces = key.iter().filter(|it| **it == b' ').count();
    let number: u128 = digits.parse().unwrap_or_default();
    let number = number / spaces as u128;
    u32::try_from(number)
        .unwrap_or_else(|_| panic!("{key:?}"))
        .to_be_bytes()
}

/// Something to read from that takes whatever is written.
struct OneWay<'s>(Cursor<&'s [u8]>);

impl Read for OneWay<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for OneWay<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
