//! The two pumps between a WebSocket and its target, and how a session ends.
//!
//! Payload streams through: no message is assembled, and no buffer belongs to a session while
//! nothing moves. Each read fills the thread's own buffer and is written on in the same breath;
//! only what the other side does not take is kept, and until it is taken nothing more is read
//! from this side. That is the whole of the back-pressure.
//!
//! An end has two halves. The client's close frame finishes the way up: the target gets what is
//! unsent and then its end of file, and what it still says is delivered before the frame is
//! answered. The target's end of file finishes the way down: the client gets what is unsent and
//! then our close frame, and what it sent before it saw that still reaches the target.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep};

use crate::handover::keep::Keep;
use crate::limits;
use crate::log::{ClosedBy, Summary, traffic_legend};
use crate::record::Recording;
use crate::stream::Stream;
use crate::websocket::close::Close;
use crate::websocket::framing::Framing;
use crate::websocket::reader::Reader;

mod ending;
mod kept;
mod pump;
mod snapshot;
mod tally;
mod unsent;

use kept::Kept;
pub use snapshot::Snapshot;
pub use tally::Tally;
use unsent::Unsent;

/// What the options say about every session.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time between pings.
    pub heartbeat: Option<Duration>,
    /// Whether marks go to standard output.
    pub traffic: bool,
}

/// Why a client that was promised a session gets none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The target cannot be reached.
    ByTarget(Close),
    /// We do not let it, or cannot.
    ByUs(Close),
}

/// Why a relay does not run any more.
#[derive(Debug)]
pub enum Outcome {
    /// The session is over.
    Over(Summary),
    /// Its state is written down, and the next process goes on with it.
    Left,
    /// It cannot be kept any more; nothing has moved since what is kept of it was true.
    Unkept,
}

/// A client that was promised a session.
#[derive(Debug)]
pub struct Client {
    /// Its stream, behind the answer to its request.
    pub stream: Stream,
    /// Bytes that were read from it with the request.
    pub early: Bytes,
    /// How its payload looks on the wire.
    pub framing: Framing,
    /// Where its session is recorded, if it is.
    pub recording: Option<Box<Recording>>,
}

/// One session's relay.
#[derive(Debug)]
pub struct Relay {
    client: Stream,
    /// Absent when it could not be reached.
    target: Option<Stream>,
    framing: Framing,
    reader: Reader,
    /// Bytes that came with the request, before the first read.
    early: Bytes,
    to_target: Unsent,
    /// Whole frames, or the rest of them: a new one may always be put behind.
    to_client: Unsent,
    /// Bytes of pongs put into `to_client` since it was last empty.
    pongs: usize,
    up: Up,
    down: Down,
    /// Why the session ends, once it does.
    end: Option<(Close, ClosedBy)>,
    /// What TLS said when it lost either side.
    fault: Option<Box<str>>,
    /// The next heartbeat while the session lives, its last moment once it ends.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the client gave a sign of life since the last ping.
    heard: bool,
    /// Whether its answer to the last ping was looked for, late as we were.
    looked: bool,
    /// Since when the target has taken nothing of what is unsent.
    stalled: Option<Instant>,
    /// Our end of the client's stream was sent, or cannot be.
    client_shut: bool,
    /// The target's end of file, or its error, was read.
    target_ended: bool,
    /// A write told us that the target reset the connection; the read behind it may not.
    target_reset: bool,
    /// How long the target is read for nobody at the most, once that is all there is to do.
    last_look: Option<Instant>,
    /// What it said for nobody since, in bytes.
    unheard: usize,
    /// Bytes read since the task was last woken.
    work: usize,
    settings: Settings,
    recording: Option<Box<Recording>>,
    tally: Arc<Tally>,
    began: Instant,
    /// Whether it was told to close.
    told: bool,
    /// Its state, for the next process.
    keep: Option<Box<Keep>>,
}

/// The way client → target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Up {
    /// Frames are read and their payload is written.
    Open,
    /// No frame will come; what is unsent goes to the target, then its end of file.
    Finishing {
        /// Whether the client still talks, but no longer in frames.
        drain: bool,
    },
    /// The client is read to its end, so that our close frame is not lost to a reset.
    Draining,
    Done,
}

/// The way target → client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Down {
    /// The target is read and its bytes are framed.
    Open,
    /// Nothing more is read; what is unsent goes to the client, our close frame last.
    Closing {
        /// Whether our end of file follows at once, because no answer can be read.
        end_of_file: bool,
    },
    /// The target is read for nobody: closing its socket with bytes unread would be a reset, which
    /// takes back what it has not read of the client's.
    Discarding,
    Done,
}

impl Relay {
    /// Joins a client and its target.
    #[must_use]
    pub fn new(client: Client, target: Stream, settings: Settings, tally: Arc<Tally>) -> Self {
        Self::start(client, Some(target), settings, tally)
    }

    /// Tells a client that there is no session for it, and why.
    #[must_use]
    pub fn refuse(client: Client, settings: Settings, why: Refused) -> Self {
        let mut relay = Self::start(client, None, settings, Arc::default());
        match why {
            Refused::ByTarget(close) => relay.begin_close(close, ClosedBy::Target, false),
            Refused::ByUs(close) => relay.begin_close(close, ClosedBy::Server, false),
        }
        relay
    }

    fn start(
        client: Client,
        target: Option<Stream>,
        settings: Settings,
        tally: Arc<Tally>,
    ) -> Self {
        let mut reader = Reader::new(client.framing);
        if client.recording.is_some() {
            reader.mark_messages();
        }
        let settings = settings.for_framing(client.framing);
        let mut relay = Self {
            client: client.stream,
            target,
            framing: client.framing,
            reader,
            early: if client.early.is_empty() {
                Bytes::new()
            } else {
                client.early
            },
            to_target: Unsent::default(),
            to_client: Unsent::default(),
            pongs: 0,
            up: Up::Open,
            down: Down::Open,
            end: None,
            fault: None,
            timer: None,
            heard: true,
            looked: false,
            stalled: None,
            client_shut: false,
            target_ended: false,
            target_reset: false,
            last_look: None,
            unheard: 0,
            work: 0,
            settings,
            recording: client.recording,
            tally,
            began: Instant::now(),
            told: false,
            keep: None,
        };
        if let Some(interval) = settings.heartbeat {
            relay.set_timer(interval);
        }
        if settings.traffic {
            traffic_legend();
        }
        relay
    }

    /// Runs to the session's end, or until it stops being kept: call it again then. `told` closes it,
    /// once: in good order when the server ends, at once when it is the session that is to end.
    /// `leave` hands it over to the next process, at any point, if its state is kept.
    ///
    /// Returns after both ways are finished; the times in [`limits`] bound how long the second may
    /// take after the first. All are the caller's, because a future has room twice for what is
    /// moved into it.
    pub async fn run(
        &mut self,
        mut told: Pin<&mut impl Future<Output = Close>>,
        mut leave: Pin<&mut impl Future<Output = ()>>,
    ) -> Outcome {
        loop {
            tokio::select! {
                biased;
                () = &mut leave, if self.keep.is_some() => {
                    return if self.leave().await { Outcome::Left } else { Outcome::Unkept };
                }
                close = &mut told, if !self.told => {
                    self.told = true;
                    self.end_by(close);
                }
                over = poll_fn(|cx| self.poll(cx)) => {
                    if !over {
                        return Outcome::Unkept;
                    }
                    self.end_keep();
                    return Outcome::Over(self.summary());
                }
            }
        }
    }

    /// Ready when the session is over, or is not kept any more: whether it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.poll_pumps(cx).is_ready() {
            return Poll::Ready(true);
        }
        self.keep_up(cx).map(|()| false)
    }

    /// Runs until either way can do nothing without waiting, and says whether the session is over.
    fn poll_pumps(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.work = 0;
        loop {
            if self.poll_timer(cx).is_ready() {
                return Poll::Ready(());
            }
            let up = self.poll_up(cx);
            let down = self.poll_down(cx);
            if self.up == Up::Done && self.down == Down::Done {
                return self.part(cx);
            }
            if up.is_pending() && down.is_pending() {
                return Poll::Pending;
            }
            if self.work >= limits::FAIR_SHARE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Leaves the client in good order: our end of the stream, which TLS has a word for
    /// (RFC 8446, 6.1), and nothing unread, which would make of close(2) a reset that takes back
    /// what the client has not read yet.
    fn part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.client_shut {
            ready!(self.shut_client(cx));
        }
        while let Poll::Ready(true) = self.discard_from_client(cx) {}
        Poll::Ready(())
    }

    /// One step client → target. Ready means that something was done; pending, that there is
    /// nothing to do before this task is woken or the other way makes room.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.up {
            Up::Open | Up::Finishing { .. } if !self.to_target.is_empty() => {
                self.flush_to_target(cx)
            }
            Up::Open => {
                if self.pongs > limits::PONG_BACKLOG {
                    return Poll::Pending;
                }
                self.pump_up(cx)
            }
            Up::Finishing { drain } => {
                if let Some(target) = &mut self.target {
                    let mut target = Kept::target(target, &mut self.keep);
                    // An error means that the target is gone, and so is what we wanted.
                    let _ = ready!(Pin::new(&mut target).poll_shutdown(cx));
                }
                self.up = if drain { Up::Draining } else { Up::Done };
                self.begin_last_look();
                Poll::Ready(())
            }
            Up::Draining => {
                if !ready!(self.discard_from_client(cx)) {
                    self.up = Up::Done;
                    self.begin_last_look();
                }
                Poll::Ready(())
            }
            Up::Done => Poll::Pending,
        }
    }

    /// One step target → client; see [`Self::poll_up`].
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.down {
            Down::Open if self.to_client.is_empty() => self.pump_down(cx),
            Down::Open => self.flush_to_client(cx),
            Down::Closing { end_of_file } => {
                ready!(self.flush_to_client(cx));
                if end_of_file {
                    ready!(self.shut_client(cx));
                }
                self.client_served();
                Poll::Ready(())
            }
            Down::Discarding => {
                if ready!(self.discard_from_target(cx)) && self.unheard < limits::UNHEARD {
                    self.go_on_looking();
                } else {
                    self.down = Down::Done;
                }
                Poll::Ready(())
            }
            Down::Done => Poll::Pending,
        }
    }

    fn shut_client(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut client = Kept::client(&mut self.client, &mut self.keep);
        let _ = ready!(Pin::new(&mut client).poll_shutdown(cx));
        self.client_shut = true;
        Poll::Ready(())
    }

    fn summary(&mut self) -> Summary {
        let end = self.end.take();
        let (close, closed_by) = end.unwrap_or((Close::SHUTDOWN, ClosedBy::Server));
        let unsent = self.framing.carried(self.to_client.len());
        self.tally.not_for_client(unsent);
        Summary {
            from_client: self.tally.by_client(),
            to_client: self.tally.for_client(),
            duration: self.began.elapsed(),
            close,
            closed_by,
            fault: self.fault.take(),
            framing: self.framing,
        }
    }
}
