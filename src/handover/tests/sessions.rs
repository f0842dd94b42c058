//! A session that is cut, wherever and however often, is the session that was not.

use std::future::{pending, ready};
use std::pin::pin;
use std::time::Duration;

use ::base64::Engine;
use ::base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::peers::{End, SETTINGS, Scattered, Store, rest, run_until, session, session_by};
use crate::handover::keep::Keep;
use crate::handover::state::Unreadable;
use crate::limits;
use crate::log::{ClosedBy, Summary};
use crate::relay::{Outcome, Relay, Settings};
use crate::stream::Stream;
use crate::websocket::close::Close;
use crate::websocket::frame::of_a_client as masked;
use crate::websocket::framing::Framing;

/// More than any socket has.
const ALL: usize = 1 << 18;

const FRAMINGS: [Framing; 4] = [
    Framing::Binary,
    Framing::Base64,
    Framing::Hixie75,
    Framing::Hixie76,
];

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The client sends so much more of its stream.
    ClientSays(usize),
    TargetSays(usize),
    ClientHears(usize),
    TargetHears(usize),
    /// The relay may do one thing.
    Turn,
    /// It may do all that it can.
    Rest,
    /// The process leaves, and the next goes on.
    Leave,
    /// The process is killed here, if its state says that it is true.
    Kill,
    /// Nothing moves until the state is written down.
    Settle,
}

/// Who ends the session.
#[derive(Clone, Copy, Debug)]
enum Ending {
    ClientCloses,
    ClientLeaves,
    TargetEnds,
    ClientBreaks,
}

#[derive(Clone, Debug)]
struct Script {
    framing: Framing,
    /// Of the client: whole messages, each in some fragments, a ping before some.
    messages: Vec<(Vec<u8>, usize, bool)>,
    /// How many bytes of the stream come with the request.
    early: usize,
    steps: Vec<Step>,
    ending: Ending,
    /// Steps behind the end.
    after: Vec<Step>,
}

/// What both ends and the record know of a session.
#[derive(Debug, PartialEq)]
struct Known {
    target: Vec<u8>,
    client: Heard,
    from_client: u64,
    to_client: u64,
    close: Close,
    closed_by: ClosedBy,
}

/// A client's side of the wire, without what a cut may change: where frames begin.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    payload: Vec<u8>,
    pongs: Vec<Vec<u8>>,
    close: Option<Vec<u8>>,
    rest: Vec<u8>,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![1usize..40, 1usize..6000, 1usize..40_000];
    prop_oneof![
        3 => size().prop_map(Step::ClientSays),
        3 => size().prop_map(Step::TargetSays),
        2 => size().prop_map(Step::ClientHears),
        2 => size().prop_map(Step::TargetHears),
        3 => Just(Step::Turn),
        2 => Just(Step::Rest),
        3 => Just(Step::Leave),
        2 => Just(Step::Kill),
        1 => Just(Step::Settle),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let message = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(any::<u8>(), 60_000..70_000),
    ];
    (
        prop::sample::select(FRAMINGS.to_vec()),
        prop::collection::vec((message, 1usize..4, any::<bool>()), 0..6),
        prop_oneof![Just(0usize), 0usize..9000],
        prop::collection::vec(step(), 0..40),
        prop::sample::select(vec![
            Ending::ClientCloses,
            Ending::ClientLeaves,
            Ending::TargetEnds,
            Ending::ClientBreaks,
        ]),
        prop::collection::vec(step(), 0..20),
    )
        .prop_map(|(framing, messages, early, steps, ending, after)| Script {
            framing,
            messages,
            early,
            steps,
            ending,
            after,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn cut_anywhere_it_is_the_same_session(script in script()) {
        let whole = play(&script, false);
        prop_assert_eq!(&whole.target, &payload(&script));
        prop_assert_eq!(play(&script, true), whole);
    }
}

/// It had no say while nobody listened.
#[tokio::test]
async fn a_client_is_not_blamed_for_the_pause() {
    let heartbeat = Some(Duration::from_millis(400));
    let settings = Settings {
        heartbeat,
        ..SETTINGS
    };
    let (mut client, _target, store, mut relay) = session_by(Framing::Binary, b"", settings, None);
    for _ in 0..2 {
        client.heard.clear();
        run_until(&mut relay, "a ping", || {
            client.listen(ALL);
            !client.heard.is_empty()
        })
        .await;
        assert_eq!(client.heard, b"\x89\0", "another ping");
        let left = relay.run(pin!(pending()), pin!(ready(()))).await;
        assert!(matches!(left, Outcome::Left));
        relay = store.resume(settings).unwrap();
    }
}

/// Also where nothing moves by it, because the client does not read.
#[tokio::test]
async fn an_end_is_not_forgotten() {
    let (client, mut target, store, mut relay) = session(Framing::Binary, b"");
    target.unsaid = vec![b'x'; ALL];
    run_until(&mut relay, "rest with a full client", || {
        target.speak();
        store.is_still() && target.unsaid.len() < ALL
    })
    .await;
    let (told, leave) = (pin!(ready(Close::ENDED)), pin!(pending()));
    let turn = timeout(Duration::from_millis(1), relay.run(told, leave));
    assert!(turn.await.is_err(), "the client has yet to hear it");
    run_until(&mut relay, "rest", || store.is_still()).await;
    // A process that is killed does not say anything.
    let mut relay = store.resume(SETTINGS).unwrap();
    client.end();
    let mut session = Scattered {
        client,
        target,
        store,
    };
    let summary = session.hear_all(&mut relay).await;
    assert_eq!(
        (summary.close, summary.closed_by),
        (Close::ENDED, ClosedBy::Server)
    );
    let close = Framing::Binary.close(&Close::ENDED);
    assert!(session.client.heard.ends_with(&close));
    // Nor has the process after that one anything to do.
    let lost = session.store.resume(SETTINGS).unwrap_err();
    assert!(matches!(lost.why, Unreadable::Over));
}

/// The goodbye of the kernel's TLS waits for a target that does not read, and its session can go on in
/// the next process meanwhile.
#[tokio::test]
async fn a_goodbye_that_waits_is_at_rest() {
    let (mut client, mut target, store, relay) = session(Framing::Binary, b"");
    drop(relay);
    let (state, keep) = Keep::reopen(store.state()).unwrap();
    let (from, to) = store.streams();
    let Stream::Plain(to) = to else {
        panic!("{to:?}")
    };
    // As far as a Unix socket can be one: what is sent passes as it is.
    let streams = (from, Stream::resume(to, true));
    let mut relay = Relay::resume(state.relay, streams, SETTINGS, None, keep);
    let word = [b'x'; 2000];
    client.unsaid = masked(0x82, &word);
    client.speak();
    client.end();
    run_until(&mut relay, "rest with a full target", || {
        store.saved().is_some_and(|it| it.target_tls)
    })
    .await;
    target.listen(ALL);
    assert_eq!(target.heard, word);
    run_until(&mut relay, "the goodbye", || {
        target.listen(ALL);
        target.over
    })
    .await;
    assert_eq!(target.heard[word.len()..], [1, 0]);
}

/// It would be taken for a part of the frame that the client may be in the middle of.
#[tokio::test]
async fn who_was_spoken_to_is_told_nothing_after_a_kill() {
    let (mut client, mut target, store, mut relay) = session(Framing::Binary, b"");
    target.unsaid = b"a word".to_vec();
    target.speak();
    while client.heard.is_empty() {
        let (told, leave) = (pin!(pending()), pin!(pending()));
        // One poll: it has no time to come to rest.
        tokio::select! {
            biased;
            over = relay.run(told, leave) => panic!("{over:?}"),
            () = ready(()) => {}
        }
        client.listen(99);
        yield_now().await;
    }
    let lost = store.resume(SETTINGS).unwrap_err();
    drop(relay);
    client.end();
    lost.end(store.streams().0).await;
    client.listen(99);
    assert_eq!(client.heard, b"\x82\x06a word");
}

/// It goes on here, and not before it is known that it goes on nowhere else.
#[tokio::test]
async fn nothing_moves_that_cannot_be_written_down() {
    let (mut client, mut target, store, relay) = session(Framing::Binary, b"");
    drop(relay);
    for word in [&b""[..], b"a word"] {
        let (state, mut keep) = Keep::reopen(store.state()).unwrap();
        keep.break_file();
        let mut relay = Relay::resume(state.relay, store.streams(), SETTINGS, None, keep);
        if !word.is_empty() {
            client.unsaid = masked(0x82, word);
            client.speak();
        }
        let unkept = timeout(Duration::from_secs(30), async {
            relay.run(pin!(pending()), pin!(pending())).await
        });
        assert!(matches!(unkept.await, Ok(Outcome::Unkept)), "never let go");
        target.listen(99);
        assert_eq!(target.heard, b"");
        if !word.is_empty() {
            run_until(&mut relay, "the word at the target", || {
                target.listen(99);
                target.heard == word
            })
            .await;
        }
    }
}

/// What is left of a time when a session is handed over is what it has.
#[tokio::test]
async fn a_time_runs_out_in_the_next_process() {
    let (mut client, _target, store, mut relay) = session(Framing::Binary, b"");
    client.unsaid = masked(0x88, b"\x03\xe8");
    client.speak();
    for _ in 0..9 {
        let (told, leave) = (pin!(pending()), pin!(pending()));
        tokio::select! {
            over = relay.run(told, leave) => panic!("{over:?}"),
            () = rest() => {}
        }
    }
    let left = relay.run(pin!(pending()), pin!(ready(()))).await;
    assert!(matches!(left, Outcome::Left));
    let (mut state, _) = Keep::reopen(store.state()).unwrap();
    let mut json = serde_json::to_value(&state.relay).unwrap();
    let left = json["timer"]["secs"].as_u64().unwrap();
    assert_eq!(left + 1, limits::LINGER_TIME.as_secs());
    json["timer"] = serde_json::json!({"secs": 0, "nanos": 1});
    state.relay = serde_json::from_value(json).unwrap();
    state.relay.last_words = b"\x88\0".to_vec();
    let mut session = Scattered::new(&state.encode().unwrap());
    let mut relay = session.store.resume(SETTINGS).unwrap();
    let summary = session.hear_all(&mut relay).await;
    assert_eq!(
        (summary.close.code, summary.closed_by),
        (1000, ClosedBy::Client)
    );
    assert_eq!(session.client.heard, b"\x88\x02\x03\xe8");
}

fn payload(script: &Script) -> Vec<u8> {
    let messages = script.messages.iter();
    messages.flat_map(|(bytes, ..)| bytes.clone()).collect()
}

/// The client's stream.
fn stream(script: &Script) -> Vec<u8> {
    let mut out = Vec::new();
    for (bytes, fragments, ping) in &script.messages {
        let (text, first) = match script.framing {
            Framing::Binary => (bytes.clone(), 0x02),
            _ => (BASE64_STANDARD.encode(bytes).into_bytes(), 0x01),
        };
        if !script.framing.has_control_frames() {
            out.extend([&[0], &text[..], &[0xff]].concat());
            continue;
        }
        let pieces = text.len().div_ceil(*fragments).max(1);
        let mut pieces: Vec<&[u8]> = text.chunks(pieces).collect();
        if pieces.is_empty() {
            pieces.push(b"");
        }
        for (at, piece) in pieces.iter().enumerate() {
            let fin = if at + 1 == pieces.len() { 0x80 } else { 0 };
            let opcode = if at == 0 { first } else { 0 };
            out.extend(masked(fin | opcode, piece));
            if *ping {
                out.extend(masked(0x89, &[u8::try_from(at).unwrap(); 9]));
            }
        }
    }
    out
}

fn play(script: &Script, cuts: bool) -> Known {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Box::pin(play_on(script, cuts)))
}

/// A play under way.
struct Scene<'s> {
    script: &'s Script,
    client: End,
    /// What the client has understood.
    heard: Heard,
    target: End,
    /// How much the target is to hear.
    payload: usize,
    store: Option<Store>,
    relay: Option<Relay>,
    /// What the client has yet to say.
    late: Vec<u8>,
    /// How much the target has said.
    said: usize,
    summary: Option<Summary>,
    cuts: bool,
    /// How often both have heard all there was: a bound for what would never end.
    rounds: u32,
}

async fn play_on(script: &Script, cuts: bool) -> Known {
    let mut wire = stream(script);
    let late = wire.split_off(script.early.min(wire.len()));
    let (client, target, store, relay) = session(script.framing, &wire);
    let mut scene = Scene {
        script,
        client,
        heard: Heard::default(),
        target,
        payload: payload(script).len(),
        store: Some(store),
        relay: Some(relay),
        late,
        said: 0,
        summary: None,
        cuts,
        rounds: 0,
    };
    for step in &script.steps {
        scene.step(step).await;
    }
    // All has been heard before the end, so that both plays have the same one.
    scene.client.unsaid.append(&mut scene.late);
    while !scene.all_is_heard() {
        scene.hear().await;
    }
    scene.begin_end();
    for step in &script.after {
        // Who is not heard any more may have been heard a moment ago.
        let lingers = matches!(script.ending, Ending::ClientCloses | Ending::ClientLeaves);
        if lingers || !matches!(step, Step::TargetSays(_)) {
            scene.step(step).await;
        }
    }
    while !scene.all_is_heard() {
        scene.hear().await;
    }
    // Who ended it is seen before the other does, too.
    scene.hear().await;
    scene.client.end();
    scene.target.end();
    while scene.summary.is_none() {
        scene.hear().await;
    }
    while !(scene.client.over && scene.target.over) {
        scene.hear().await;
    }
    let summary = scene.summary.unwrap();
    Known {
        target: scene.target.heard,
        client: scene.heard,
        from_client: summary.from_client,
        to_client: summary.to_client,
        close: summary.close,
        closed_by: summary.closed_by,
    }
}

impl Scene<'_> {
    fn begin_end(&mut self) {
        match (self.script.ending, self.script.framing) {
            (Ending::ClientCloses, Framing::Binary | Framing::Base64) => {
                self.client.unsaid = masked(0x88, b"\x0f\xa0bye");
            }
            (Ending::ClientCloses, Framing::Hixie76) => self.client.unsaid = vec![0xff, 0x00],
            (Ending::ClientCloses, Framing::Hixie75) | (Ending::ClientLeaves, _) => {
                self.client.end();
            }
            (Ending::TargetEnds, _) => self.target.end(),
            // No framing has it where a frame begins.
            (Ending::ClientBreaks, _) => self.client.unsaid = b"\xf3".to_vec(),
        }
        self.client.speak();
    }

    fn all_is_heard(&self) -> bool {
        self.client.unsaid.is_empty()
            && self.target.unsaid.is_empty()
            && self.target.heard.len() == self.payload
            && self.heard.payload.len() == self.said
    }

    /// Both ends hear all there is, and the relay does all that it can.
    async fn hear(&mut self) {
        self.rounds += 1;
        assert!(self.target.heard.len() <= self.payload, "said twice");
        assert!(self.heard.payload.len() <= self.said, "said twice");
        assert!(
            self.rounds < 2_000,
            "{:?} {:?} {:?}",
            self.relay,
            self.summary,
            self.said
        );
        for step in [Step::TargetHears(ALL), Step::ClientHears(ALL), Step::Rest] {
            self.step(&step).await;
        }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::ClientSays(size) => {
                let size = size.min(self.late.len());
                self.client.unsaid.extend(self.late.drain(..size));
            }
            Step::TargetSays(size) => {
                let said = self.said..self.said + size;
                self.target
                    .unsaid
                    .extend(said.map(|at| (at ^ (at >> 8)).to_le_bytes()[0]));
                self.said += size;
            }
            Step::ClientHears(most) => {
                self.client.listen(most);
                self.heard.rest.append(&mut self.client.heard);
                self.heard.understand(self.script.framing);
            }
            Step::TargetHears(most) => self.target.listen(most),
            Step::Turn => self.turn(yield_now()).await,
            Step::Rest => self.turn(rest()).await,
            Step::Leave => self.leave().await,
            Step::Kill => self.kill(),
            Step::Settle => {
                let mut turns = 0;
                while self.store.as_ref().is_some_and(|it| !it.is_still()) {
                    self.turn(sleep(Duration::from_millis(1))).await;
                    turns += 1;
                    assert!(turns < 5_000, "never at rest");
                }
            }
        }
        self.client.speak();
        self.target.speak();
    }

    /// The relay runs until `time` is up, or the session is over.
    async fn turn(&mut self, time: impl Future<Output = ()>) {
        let Some(relay) = &mut self.relay else {
            return;
        };
        let (told, leave) = (pin!(pending()), pin!(pending()));
        let over = tokio::select! {
            over = relay.run(told, leave) => over,
            () = time => return,
        };
        let Outcome::Over(summary) = over else {
            panic!("{over:?}");
        };
        self.summary = Some(summary);
        self.relay = None;
        self.store = None;
    }

    async fn leave(&mut self) {
        let Some(store) = self.store.as_ref().filter(|_| self.cuts) else {
            return;
        };
        if let Some(mut relay) = self.relay.take() {
            let left = relay.run(pin!(pending()), pin!(ready(()))).await;
            assert!(matches!(left, Outcome::Left));
            drop(relay);
            self.relay = Some(store.resume(SETTINGS).unwrap());
        }
    }

    fn kill(&mut self) {
        if let (Some(store), true, true) = (&self.store, self.cuts, self.relay.is_some()) {
            if let Ok(next) = store.resume(SETTINGS) {
                self.relay = Some(next);
            }
        }
    }
}

impl Heard {
    /// Takes every whole frame of what is left.
    fn understand(&mut self, framing: Framing) {
        let wire = std::mem::take(&mut self.rest);
        let mut rest = &wire[..];
        if framing.has_control_frames() {
            while let Some((first, payload, behind)) = unframed(rest) {
                match first {
                    0x82 => self.payload.extend_from_slice(payload),
                    0x81 => self
                        .payload
                        .extend(BASE64_STANDARD.decode(payload).unwrap()),
                    0x8a => self.pongs.push(payload.to_vec()),
                    0x88 => self.close = Some(payload.to_vec()),
                    other => panic!("{other}"),
                }
                rest = behind;
            }
        } else {
            while let Some(end) = rest.iter().position(|it| *it == 0xff) {
                match rest {
                    [0xff, 0x00, behind @ ..] => {
                        self.close = Some(Vec::new());
                        rest = behind;
                    }
                    [0x00, ..] => {
                        let text = BASE64_STANDARD.decode(&rest[1..end]).unwrap();
                        self.payload.extend(text);
                        rest = &rest[end + 1..];
                    }
                    _ => break,
                }
            }
        }
        self.rest = rest.to_vec();
    }
}

/// A whole frame of ours, and what stands behind it.
fn unframed(wire: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, short) = (wire.first()?, wire.get(1)?);
    let (length, rest) = match short {
        126 => {
            let (length, rest) = wire[2..].split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = wire[2..].split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*length)).unwrap(), rest)
        }
        short => (usize::from(*short), &wire[2..]),
    };
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((first, payload, rest))
}
