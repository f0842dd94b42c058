//! A recording goes along where all of it is in its file, and nowhere else: it would have a hole.

use std::fs;
use std::future::{pending, ready};
use std::path::Path;
use std::pin::pin;

use tokio::time::timeout;

use super::peers::{End, SETTINGS, Store, rest, run_until, session_by};
use crate::handover::keep::Keep;
use crate::limits;
use crate::record::{Destination, Recorder};
use crate::relay::{Outcome, Relay};
use crate::websocket::framing::Framing;

/// The target says so much in the sessions here.
const SAID: &[u8] = b"there you are";

struct Recorded {
    folder: tempfile::TempDir,
    recorder: Recorder,
    begin: std::sync::mpsc::Sender<Destination>,
    client: End,
    _target: End,
    store: Store,
    relay: Relay,
}

impl Recorded {
    /// A session whose recording an earlier process has begun, and in which the target has spoken since;
    /// at rest, before the disk has taken anything of that.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(destination(folder.path())).unwrap();
        let recording = recorder.begin(&"client");
        recording.written().await;
        let position = recording.position().unwrap();
        drop(recording);
        recorder.finish().await;

        let (recorder, begin) = Recorder::start_late();
        let recording = recorder.resume(position, &"client");
        let (client, mut target, store, relay) =
            session_by(Framing::Binary, b"", SETTINGS, Some(recording));
        target.unsaid = SAID.to_vec();
        target.speak();
        let mut recorded = Self {
            folder,
            recorder,
            begin,
            client,
            _target: target,
            store,
            relay,
        };
        let (client, store) = (&mut recorded.client, &recorded.store);
        run_until(&mut recorded.relay, "rest", || {
            client.listen(99);
            !client.heard.is_empty() && store.is_still()
        })
        .await;
        recorded
    }

    /// The disk takes what it has to take.
    fn write(&self) {
        self.begin.send(destination(self.folder.path())).unwrap();
    }

    /// Whether the next process would go on with the recording.
    fn is_kept(&self) -> bool {
        is_recorded(&self.store)
    }

    fn tape(&self) -> String {
        fs::read_to_string(self.folder.path().join("tape.1")).unwrap()
    }
}

fn destination(folder: &Path) -> Destination {
    Destination::new(&folder.join("tape")).unwrap()
}

fn is_recorded(store: &Store) -> bool {
    let saved = store.saved().expect("a state that is true");
    saved.recording.is_some()
}

#[tokio::test]
async fn a_state_has_its_recording_once_that_is_written() {
    let mut session = Recorded::new().await;
    assert!(!session.is_kept(), "a kill would leave a hole");
    session.write();
    // Nothing moves meanwhile.
    let store = &session.store;
    run_until(&mut session.relay, "recorded", || is_recorded(store)).await;
    assert!(session.tape().ends_with("{there you are',\n"));
}

#[tokio::test]
async fn a_recording_whose_disk_fails_behind_a_session_at_rest_is_over() {
    let mut session = Recorded::new().await;
    fs::remove_file(session.folder.path().join("tape.1")).unwrap();
    session.write();
    session.recorder.finish().await;
    let mut turns = 0..9;
    run_until(&mut session.relay, "some turns", || turns.next().is_none()).await;
    assert!(!session.is_kept());
}

#[tokio::test]
async fn who_leaves_waits_for_the_disk() {
    let mut session = Recorded::new().await;
    {
        let (told, leave) = (pin!(pending()), pin!(ready(())));
        let mut leaving = pin!(session.relay.run(told, leave));
        tokio::select! {
            left = &mut leaving => panic!("{left:?}"),
            () = rest() => {}
        }
        let to = destination(session.folder.path());
        session.begin.send(to).unwrap();
        assert!(matches!(leaving.await, Outcome::Left));
    }
    let (state, _) = Keep::reopen(session.store.state()).unwrap();
    let position = state.relay.recording.unwrap();
    let recording = session.recorder.resume(position, &"client");
    recording.target_said(b"\x82\x05again");
    recording.written().await;
    let tape = session.tape();
    let lines: Vec<_> = tape.lines().skip(1).collect();
    assert!(
        lines[0].ends_with("{there you are',") && lines[1].ends_with("again',"),
        "{tape}"
    );
}

#[tokio::test]
async fn a_disk_that_hangs_holds_nobody_up() {
    let mut session = Recorded::new().await;
    let (told, leave) = (pin!(pending()), pin!(ready(())));
    let leaving = session.relay.run(told, leave);
    let left = timeout(limits::HAND_OVER_TIME, leaving).await;
    assert!(matches!(left, Ok(Outcome::Left)));
    assert!(!session.is_kept());
}
