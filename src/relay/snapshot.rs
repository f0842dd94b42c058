//! Where a session is, for a relay in another process to go on from.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Down, Relay, Settings, Up};
use crate::handover::keep::Keep;
use crate::handover::moment::Moment;
use crate::limits;
use crate::log::ClosedBy;
use crate::record::{Position, Recording};
use crate::stream::Stream;
use crate::websocket::close::Close;
use crate::websocket::framing::Framing;
use crate::websocket::reader::Reader;

/// All that a relay is besides its streams, its options and what its session has moved. Taken
/// between two polls: nothing is in hand then.
///
/// Times that run out are kept as what is left of them, so that nobody loses by the pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    framing: Framing,
    reader: Reader,
    /// What came with the request and was not decoded yet.
    #[serde(skip)]
    pub(crate) early: Vec<u8>,
    /// What the target did not take.
    #[serde(skip)]
    pub(crate) to_target: Vec<u8>,
    /// What the client did not take.
    #[serde(skip)]
    pub(crate) to_client: Vec<u8>,
    /// What ends the session behind that, if it cannot go on.
    #[serde(skip)]
    pub(crate) last_words: Vec<u8>,
    pongs: usize,
    up: Up,
    down: Down,
    end: Option<(Close, ClosedBy)>,
    fault: Option<Box<str>>,
    /// Until the timer ends.
    timer: Option<Duration>,
    /// Since the target took the last of what it is to take.
    stalled: Option<Duration>,
    client_shut: bool,
    target_ended: bool,
    target_reset: bool,
    /// Until the last look ends.
    last_look: Option<Duration>,
    began: Moment,
    /// Where it is recorded.
    pub recording: Option<Position>,
    /// Whether the kernel does TLS on the client's socket. Not before version 2.
    #[serde(default, skip_serializing_if = "is_false")]
    pub client_tls: bool,
    /// The same of the target's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub target_tls: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Snapshot {
    /// The first version that can say all of it.
    pub(crate) fn version(&self) -> u32 {
        if self.client_tls || self.target_tls {
            2
        } else {
            1
        }
    }

    /// Whether it can be gone on from: no relay ever was where this one is, otherwise.
    pub(crate) fn is_sound(&self) -> bool {
        self.reader.is_sound()
    }

    /// Reads on from here.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn fuzz(mut self) {
        for piece in [&mut self.early, &mut self.to_target, &mut self.to_client] {
            let _ = self.reader.decode(piece, &mut Vec::new());
        }
    }
}

impl Relay {
    /// Where the session is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let goodbye = match self.down {
            Down::Open => self.framing.close(&Close::LOST),
            // It is among what waits, or was sent.
            Down::Closing { .. } | Down::Discarding | Down::Done => Vec::new(),
        };
        Snapshot {
            framing: self.framing,
            reader: self.reader.clone(),
            early: self.early.to_vec(),
            to_target: self.to_target.rest().to_vec(),
            to_client: self.to_client.rest().to_vec(),
            last_words: goodbye,
            pongs: self.pongs,
            up: self.up,
            down: self.down,
            end: self.end.clone(),
            fault: self.fault.clone(),
            timer: self.timer.as_ref().map(|it| it.deadline() - now),
            stalled: self.stalled.map(|it| now - it),
            client_shut: self.client_shut,
            target_ended: self.target_ended,
            target_reset: self.target_reset,
            last_look: self.last_look.map(|it| it - now),
            began: self.began.into(),
            recording: self.recording.as_ref().and_then(|it| it.position()),
            client_tls: self.client.is_kernel_tls(),
            target_tls: self.target.as_ref().is_some_and(Stream::is_kernel_tls),
        }
    }

    /// Goes on with a session of an earlier process.
    #[must_use]
    pub fn resume(
        snapshot: Snapshot,
        (client, target): (Stream, Stream),
        settings: Settings,
        recording: Option<Box<Recording>>,
        keep: Keep,
    ) -> Self {
        let now = Instant::now();
        let tally = keep.entry().tally.clone();
        let mut relay = Self {
            client,
            target: Some(target),
            framing: snapshot.framing,
            reader: snapshot.reader,
            early: snapshot.early.into(),
            to_target: snapshot.to_target.into(),
            to_client: snapshot.to_client.into(),
            pongs: snapshot.pongs,
            up: snapshot.up,
            down: snapshot.down,
            end: snapshot.end,
            fault: snapshot.fault,
            timer: None,
            // It had no say while nobody listened.
            heard: true,
            looked: false,
            stalled: snapshot.stalled.map(|it| before(now, it)),
            client_shut: snapshot.client_shut,
            target_ended: snapshot.target_ended,
            target_reset: snapshot.target_reset,
            last_look: snapshot
                .last_look
                .map(|it| now + it.min(limits::FAREWELL_TIME)),
            unheard: 0,
            work: 0,
            settings: settings.for_framing(snapshot.framing),
            recording,
            tally,
            began: snapshot.began.into(),
            told: false,
            keep: Some(Box::new(keep)),
        };
        if relay.recording.is_some() {
            relay.reader.mark_messages();
        }
        let left = snapshot.timer.unwrap_or(limits::FAREWELL_TIME);
        match (&relay.end, relay.settings.heartbeat) {
            (Some(_), _) => relay.set_timer(left.min(limits::FAREWELL_TIME)),
            // The options may have changed.
            (None, Some(interval)) => relay.set_timer(left.min(interval)),
            (None, None) if relay.stalled.is_some() => relay.set_timer(limits::FAREWELL_TIME),
            (None, None) => {}
        }
        relay
    }
}

fn before(now: Instant, time: Duration) -> Instant {
    now.checked_sub(time).unwrap_or(now)
}

impl Settings {
    /// Those of a session: who knows no pings gets none. TCP keepalive has to do.
    pub(super) fn for_framing(mut self, framing: Framing) -> Self {
        self.heartbeat = self.heartbeat.filter(|_| framing.has_control_frames());
        self
    }
}
