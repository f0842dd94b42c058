//! Streams of frames, right and wrong, at every split.

use proptest::prelude::*;

use super::frame::of_a_client as client;
use super::{Close, Decoded, Decoder, End, Opcode, Violation, frame};

/// Everything a stream gives when it arrives in the given pieces.
fn decoded(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>, Option<End>) {
    decoded_by(Decoder::default(), stream, cuts)
}

fn decoded_by(
    mut decoder: Decoder,
    stream: &[u8],
    cuts: &[usize],
) -> (Vec<u8>, Vec<u8>, Option<End>) {
    let (mut data, mut replies) = (Vec::new(), Vec::new());
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    bounds.extend([0, stream.len()]);
    bounds.sort_unstable();
    for pair in bounds.windows(2) {
        let mut piece = stream[pair[0]..pair[1]].to_vec();
        let Decoded { payload, end, .. } = decoder.decode(&mut piece, &mut replies);
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

#[test]
fn base64_is_read_message_by_message_at_every_split() {
    let mut stream = client(0x81, b"aGVs");
    stream.extend(client(0x01, b"bG8sI"));
    stream.extend(client(0x89, b"YWJj"));
    stream.extend(client(0x80, b"A=="));
    stream.extend(client(0x81, b""));
    stream.extend(client(0x82, b"d29ybGQ="));
    stream.extend(client(0x81, b"IQ=="));
    let mut pong = Vec::new();
    frame::append(&mut pong, Opcode::Pong, b"YWJj");
    for (last, end) in [
        (
            client(0x81, b"eA==eA=="),
            Some(End::Violation(Violation::Base64)),
        ),
        (
            client(0x81, b"eAx"),
            Some(End::Violation(Violation::Base64)),
        ),
        (client(0x81, b"eA=="), None),
        (client(0x01, b"eA=="), None),
    ] {
        let stream = [stream.clone(), last].concat();
        let (data, _, _) = decoded_by(Decoder::of_base64(), &stream, &[]);
        assert!(data.starts_with(b"hello, world!"));
        for cut in 0..=stream.len() {
            let got = decoded_by(Decoder::of_base64(), &stream, &[cut]);
            assert_eq!(
                got,
                (data.clone(), pong.clone(), end.clone()),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn messages_are_told_apart_at_every_split() {
    let messages = [
        b"ab".to_vec(),
        vec![],
        b"cde".to_vec(),
        vec![7; 200],
        b"f".to_vec(),
    ];
    let mut stream = Vec::new();
    for message in &messages {
        let (front, back) = message.split_at(message.len() / 2);
        stream.extend(client(0x02, front));
        stream.extend(client(0x89, b"ping"));
        stream.extend(client(0x80, back));
        stream.extend(client(0x82, message));
    }
    for cut in 0..=stream.len() {
        let mut decoder = Decoder::default();
        decoder.mark_messages();
        let (mut seen, mut open) = (Vec::new(), Vec::new());
        for piece in [&stream[..cut], &stream[cut..]] {
            let mut piece = piece.to_vec();
            let decoded = decoder.decode(&mut piece, &mut Vec::new());
            let payload = &piece[decoded.payload];
            let mut from = 0;
            for end in decoded.ends {
                open.extend_from_slice(&payload[from..end]);
                seen.push(std::mem::take(&mut open));
                from = end;
            }
            open.extend_from_slice(&payload[from..]);
        }
        let twice: Vec<_> = messages
            .iter()
            .flat_map(|it| [it.clone(), it.clone()])
            .collect();
        assert_eq!(seen, twice, "cut at {cut}");
    }
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
    fn any_split_of_base64_gives_the_same_bytes(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8),
        cuts in prop::collection::vec(0usize..4000, 0..20),
    ) {
        use ::base64::Engine;
        let mut stream = Vec::new();
        for message in &messages {
            let text = ::base64::prelude::BASE64_STANDARD.encode(message);
            let (front, back) = text.as_bytes().split_at(text.len() / 3);
            stream.extend(client(0x01, front));
            stream.extend(client(0x80, back));
        }
        prop_assert_eq!(
            decoded_by(Decoder::of_base64(), &stream, &cuts),
            (messages.concat(), Vec::new(), None)
        );
    }

    #[test]
    fn noise_never_panics_and_gives_the_same_at_any_split(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(0usize..200, 0..8),
    ) {
        prop_assert_eq!(decoded(&noise, &cuts), decoded(&noise, &[]));
    }
}
