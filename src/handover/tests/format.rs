//! The bytes of a state: read for ever, or refused.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;
use tokio::task::yield_now;

use super::entry;
use super::peers::{End, SETTINGS, Scattered, rest, run_until};
use crate::handover::keep::Keep;
use crate::handover::state::{State, Unreadable, refit};
use crate::limits;
use crate::relay::Snapshot;
use crate::websocket::frame::of_a_client as masked;

/// What each version wrote, and must be read for ever: of the session in [`cut`].
const VERSION_1: &[u8] = include_bytes!("version-1.state");
const VERSION_2: &[u8] = include_bytes!("version-2.state");

/// A session of base64 whose client was cut in the middle of a header, of a group of four letters
/// and of a message, while both ends had no room.
fn cut() -> State {
    let frame = masked(0x80, b"VsbG8=");
    let head = [&frame[..3], &[0; 11]].concat();
    let mut relay: Snapshot = serde_json::from_value(json!({
        "framing": "Base64",
        "reader": {"Rfc6455": {
            "head": head,
            "head_len": 3,
            "remaining": 0,
            "mask": [1, 2, 3, 4],
            "control": null,
            "control_payload": [],
            "in_message": true,
            "text": {"letters": 2, "padding": 0, "bits": 6},
            "marking": false,
        }},
        "pongs": 4,
        "up": "Open",
        "down": "Open",
        "end": null,
        "fault": null,
        "timer": {"secs": 1, "nanos": 5},
        "stalled": {"secs": 2, "nanos": 0},
        "client_shut": false,
        "target_ended": false,
        "target_reset": false,
        "last_look": null,
        "began": {"secs": 1, "nanos": 7},
        "recording": {"file": {"Unix": [47, 116, 255]}, "began": {"secs": 1, "nanos": 8}},
        "client_tls": true,
        "target_tls": true,
    }))
    .unwrap();
    relay.early = frame[3..5].to_vec();
    relay.to_target = b"not taken yet, h".to_vec();
    relay.to_client = b"Z2V0".to_vec();
    relay.last_words = b"\x88\x02\x03\xf4".to_vec();
    let entry = entry();
    entry
        .tally
        .add(&serde_json::from_value(json!({"from_client": 3, "for_client": 6})).unwrap());
    State { entry, relay }
}

#[test]
fn what_we_write_is_of_the_first_version_that_can_say_it() {
    // Once VERSION is 3, its file is made by this, and the older ones stay as they are.
    let mut state = cut();
    let bytes = state.encode().unwrap();
    if let Some(path) = std::env::var_os("WRITE_STATE") {
        std::fs::write(path, &bytes).unwrap();
    }
    assert!(bytes == VERSION_2);
    (state.relay.client_tls, state.relay.target_tls) = (false, false);
    assert!(state.encode().unwrap() == VERSION_1);
}

#[test]
fn what_version_1_does_not_say_is_so() {
    let mut expected = cut().relay;
    // TLS was never the kernel's then.
    (expected.client_tls, expected.target_tls) = (false, false);
    assert_eq!(State::decode(VERSION_1).unwrap().relay, expected);
}

#[tokio::test]
async fn every_version_is_gone_on_with() {
    for version in [VERSION_1, VERSION_2] {
        is_gone_on_with(version).await;
    }
}

async fn is_gone_on_with(state: &[u8]) {
    let read = State::decode(state).unwrap();
    assert_eq!(format!("{:?}", read.entry), format!("{:?}", cut().entry));
    let mut session = Scattered::new(state);
    let mut relay = session.store.resume(SETTINGS).unwrap();
    session.client.unsaid = masked(0x80, b"VsbG8=")[5..].to_vec();
    session.client.unsaid.extend(masked(0x88, b"\x03\xe8"));
    session.target.unsaid = b"!".to_vec();
    session.client.speak();
    session.target.speak();
    session.target.end();
    let summary = session.hear_all(&mut relay).await;
    assert_eq!(session.target.heard, b"not taken yet, hello");
    let heard = String::from_utf8_lossy(&session.client.heard);
    assert!(heard.starts_with("Z2V0\u{fffd}\u{4}IQ=="), "{heard:?}");
    assert_eq!((summary.from_client, summary.to_client), (3 + 20, 6 + 1));
    assert_eq!(summary.close.code, 1000);
    // Since the first second after the machine was started.
    assert!(summary.duration > Duration::from_secs(1));
}

#[test]
fn what_is_cut_short_or_changed_is_refused() {
    for size in 0..VERSION_2.len() {
        let read = State::decode(&VERSION_2[..size]);
        assert!(matches!(read, Err(Unreadable::Damaged)), "{size}");
    }
    let mut bytes = VERSION_2.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let read = State::decode(&bytes);
            assert!(matches!(read, Err(Unreadable::Damaged)), "{at} {bit}");
            bytes[at] ^= 1 << bit;
        }
    }
    // A memfd is longer than what is in it.
    bytes.extend([0; 5000]);
    assert!(State::decode(&bytes).is_ok());
}

#[test]
fn another_version_is_refused_by_its_number() {
    for version in [0_u32, 3, 7, u32::MAX] {
        let mut bytes = VERSION_2.to_vec();
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        refit(&mut bytes);
        let read = State::decode(&bytes);
        assert!(matches!(read, Err(Unreadable::Version(it)) if it == version));
    }
}

/// Where a decoder cannot be: its checksum is right all the same.
#[test]
fn what_nobody_can_go_on_from_is_refused() {
    for (part, wrong) in [
        ("\"head_len\":3", "\"head_len\":14"),
        ("\"head_len\":3", "\"head_len\":99"),
        ("\"letters\":2", "\"letters\":9"),
        ("\"control\":null", "\"control\":\"Ping\""),
        ("\"remaining\":0", "\"remaining\":-1"),
        ("\"pongs\":4", "\"pongs\":4,\"more\":1"),
        ("\"up\":\"Open\"", "\"up\":\"Shut\""),
    ] {
        let mut json = serde_json::to_string(&cut()).unwrap();
        assert!(json.contains(part), "{part} in {json}");
        json = json.replacen(part, wrong, 1);
        if part.contains("control") {
            json = json.replacen("\"remaining\":0", "\"remaining\":126", 1);
        }
        let length = u32::try_from(json.len()).unwrap();
        let mut bytes = VERSION_2.to_vec();
        let old = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        let old = crate::handover::state::HEAD..crate::handover::state::HEAD + old as usize;
        bytes.splice(old, json.bytes());
        refit(&mut bytes);
        let read = State::decode(&bytes);
        assert!(
            matches!(read, Err(Unreadable::Damaged)),
            "{wrong}: {read:?}"
        );
    }
}

#[tokio::test]
async fn who_cannot_be_gone_on_with_is_told_where_that_is_safe() {
    let mut of_the_future = VERSION_2.to_vec();
    of_the_future[8] = 9;
    refit(&mut of_the_future);
    let marked = |mark: &[u8; 8]| [mark, &VERSION_2[8..]].concat();
    let mut damaged = VERSION_2.to_vec();
    damaged[100] ^= 1;
    let told = b"Z2V0\x88\x02\x03\xf4";
    for (bytes, known, heard) in [
        (of_the_future, true, &told[..]),
        (marked(b"wsmoved\n"), true, told),
        // It may be in the middle of a frame: our words would be taken for a part of that.
        (marked(b"wsspoke\n"), true, b""),
        (damaged, false, b""),
        (vec![0; 200], false, b""),
    ] {
        let mut session = Scattered::new(&bytes);
        let Err(lost) = session.store.resume(SETTINGS) else {
            panic!("{bytes:?}");
        };
        assert_eq!(lost.entry.as_ref().map(|it| it.id), known.then_some(7));
        let (client, target) = session.store.streams();
        drop((session.store, target));
        session.client.end();
        lost.end(client).await;
        while !session.client.over {
            session.client.listen(999);
            yield_now().await;
        }
        assert_eq!(session.client.heard, heard);
    }
}

#[tokio::test]
async fn a_session_that_ends_processes_is_not_tried_for_ever() {
    let session = Scattered::new(VERSION_2);
    for _ in 0..5 {
        // A process that comes so far has not been ended by it.
        let mut relay = session.store.resume(SETTINGS).unwrap();
        run_until(&mut relay, "rest", || session.store.is_still()).await;
    }
    for _ in 0..limits::STATE_ATTEMPTS {
        assert!(session.store.resume(SETTINGS).is_ok());
    }
    let lost = session.store.resume(SETTINGS).unwrap_err();
    assert!(matches!(lost.why, Unreadable::Fatal));
}

/// What takes long to copy is not copied for each small frame of a client that does not read.
#[tokio::test]
async fn a_large_state_is_written_after_a_longer_rest() {
    let mut state = cut();
    state.relay.to_client = vec![0; 4 * limits::STATE_PIECE];
    let session = Scattered::new(&state.encode().unwrap());
    let (_, mut keep) = Keep::reopen(session.store.state()).unwrap();
    // Without that it has only to be shown that it ends nobody.
    assert!(keep.moves(false));
    let began = Instant::now();
    poll_fn(|cx| keep.poll_settled(cx)).await;
    assert!(began.elapsed() >= 4 * limits::STATE_SETTLED);
}

/// Not again by the process after the one that ended while it was said.
#[tokio::test]
async fn a_farewell_is_said_once() {
    let mut state = cut();
    // Without a piece that is there twice.
    let bytes = (0..90_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    state.relay.to_client = bytes.collect();
    let farewell = [&state.relay.to_client[..], &state.relay.last_words].concat();
    let mut bytes = state.encode().unwrap();
    bytes[..8].copy_from_slice(b"wsmoved\n");
    let mut session = Scattered::new(&bytes);
    let lost = session.store.resume(SETTINGS).unwrap_err();
    tokio::select! {
        () = lost.end(session.store.streams().0) => panic!("nobody has read it"),
        () = rest() => {}
    }
    let hear = |client: &mut End| (0..99).for_each(|_| client.listen(9999));
    hear(&mut session.client);
    let heard = session.client.heard.clone();
    assert!(!heard.is_empty() && farewell.starts_with(&heard));
    session.client.end();
    let lost = session.store.resume(SETTINGS).unwrap_err();
    assert!(matches!(lost.why, Unreadable::Moving));
    lost.end(session.store.streams().0).await;
    hear(&mut session.client);
    assert!(session.client.heard == heard, "it is said again");
    let lost = session.store.resume(SETTINGS).unwrap_err();
    assert!(matches!(lost.why, Unreadable::Over));
}

proptest! {
    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = State::decode(&noise);
        let mut framed = VERSION_2.to_vec();
        for (at, byte) in noise.iter().enumerate() {
            let at = (usize::from(*byte) * 7 + at * 13) % framed.len();
            framed[at] = *byte;
        }
        refit(&mut framed);
        let _ = State::decode(&framed);
    }
}
