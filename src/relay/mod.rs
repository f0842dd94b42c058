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

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::drain::Drain;
use crate::limits;
use crate::log::{ClosedBy, Summary, traffic, traffic_legend};
use crate::stream::Stream;
use crate::websocket::close::Close;
use crate::websocket::decoder::{Decoder, End};
use crate::websocket::frame::{self, LONGEST_SENT, Opcode};

mod ending;
mod unsent;

use unsent::Unsent;

thread_local! {
    /// Room for a frame header, then one read. Never held across an await.
    static CHUNK: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; LONGEST_SENT + limits::CHUNK].into_boxed_slice());
}

/// What the options say about every session.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time between pings.
    pub heartbeat: Option<Duration>,
    /// Whether marks go to standard output.
    pub traffic: bool,
}

/// Why a client that was promised a session gets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The target cannot be reached.
    Unreachable,
    /// We are ending.
    Shutdown,
}

/// One session's relay.
#[derive(Debug)]
pub struct Relay {
    client: Stream,
    /// Absent when it could not be reached.
    target: Option<Stream>,
    decoder: Decoder,
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
    /// What TLS said when it lost the target.
    fault: Option<Box<str>>,
    /// The next heartbeat while the session lives, its last moment once it ends.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the client gave a sign of life since the last ping.
    heard: bool,
    settings: Settings,
    from_client: u64,
    for_client: u64,
    began: Instant,
}

/// The way client → target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Down {
    /// The target is read and its bytes are framed.
    Open,
    /// Nothing more is read; what is unsent goes to the client, our close frame last.
    Closing {
        /// Whether our end of file follows at once, because no answer can be read.
        end_of_file: bool,
    },
    Done,
}

impl Relay {
    /// Joins a client, whose first bytes have been read already, and its target.
    #[must_use]
    pub fn new(client: Stream, early: Bytes, target: Stream, settings: Settings) -> Self {
        Self::start(client, early, Some(target), settings)
    }

    /// Tells a client that there is no session for it, and why.
    #[must_use]
    pub fn refuse(client: Stream, early: Bytes, settings: Settings, why: Refused) -> Self {
        let mut relay = Self::start(client, early, None, settings);
        match why {
            Refused::Unreachable => {
                relay.begin_close(Close::CONNECT_FAILED, ClosedBy::Target, false);
            }
            Refused::Shutdown => relay.begin_close(Close::SHUTDOWN, ClosedBy::Server, false),
        }
        relay
    }

    fn start(client: Stream, early: Bytes, target: Option<Stream>, settings: Settings) -> Self {
        let mut relay = Self {
            client,
            target,
            decoder: Decoder::default(),
            early: if early.is_empty() {
                Bytes::new()
            } else {
                early
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
            settings,
            from_client: 0,
            for_client: 0,
            began: Instant::now(),
        };
        if let Some(interval) = settings.heartbeat {
            relay.set_timer(interval);
        }
        if settings.traffic {
            traffic_legend();
        }
        relay
    }

    /// Runs to the session's end. `drain` closes it in good order.
    ///
    /// Returns after both ways are finished, or [`limits::LINGER_TIME`] and
    /// [`limits::CLOSE_TIME`] after the first of them was.
    pub async fn run(mut self, mut drain: Drain) -> Summary {
        tokio::select! {
            biased;
            () = drain.told() => {
                self.begin_close(Close::SHUTDOWN, ClosedBy::Server, false);
                poll_fn(|cx| self.poll(cx)).await;
            }
            () = poll_fn(|cx| self.poll(cx)) => {}
        }
        self.summary()
    }

    /// Runs until either way can do nothing without waiting, and says whether the session is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let before = self.moved();
        loop {
            if self.poll_timer(cx).is_ready() {
                return Poll::Ready(());
            }
            let up = self.poll_up(cx);
            let down = self.poll_down(cx);
            if self.up == Up::Done && self.down == Down::Done {
                return Poll::Ready(());
            }
            if up.is_pending() && down.is_pending() {
                return Poll::Pending;
            }
            if self.moved() - before >= limits::FAIR_SHARE as u64 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn moved(&self) -> u64 {
        self.from_client + self.for_client
    }

    /// One step client → target. Ready means that something was done; pending, that there is
    /// nothing to do before this task is woken or the other way makes room.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.up {
            Up::Open => {
                ready!(self.flush_to_target(cx));
                if self.pongs > limits::PONG_BACKLOG {
                    return Poll::Pending;
                }
                self.pump_up(cx)
            }
            Up::Finishing { drain } => {
                ready!(self.flush_to_target(cx));
                if let Some(target) = &mut self.target {
                    // An error means that the target is gone, and so is what we wanted.
                    let _ = ready!(Pin::new(target).poll_shutdown(cx));
                }
                self.up = if drain { Up::Draining } else { Up::Done };
                Poll::Ready(())
            }
            Up::Draining => CHUNK.with_borrow_mut(|chunk| {
                if !matches!(ready!(read(&mut self.client, cx, chunk)), Ok(1..)) {
                    self.up = Up::Done;
                }
                Poll::Ready(())
            }),
            Up::Done => Poll::Pending,
        }
    }

    /// Reads once from the client and writes the payload to the target.
    fn pump_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CHUNK.with_borrow_mut(|chunk| {
            let size = if self.early.has_remaining() {
                let size = self.early.len().min(chunk.len());
                self.early.copy_to_slice(&mut chunk[..size]);
                if self.early.is_empty() {
                    // Even empty it would hold the buffer that the request was read into.
                    self.early = Bytes::new();
                }
                size
            } else {
                match ready!(read(&mut self.client, cx, chunk)) {
                    Ok(0) => {
                        self.client_ended();
                        return Poll::Ready(());
                    }
                    Ok(size) => size,
                    Err(_) => {
                        self.client_ended();
                        self.client_gone();
                        return Poll::Ready(());
                    }
                }
            };
            self.heard = true;
            let piece = &mut chunk[..size];
            // After our close frame nothing may follow it (RFC 6455, 5.5.1): pongs are dropped.
            let mut pongs = Vec::new();
            let decoded = self.decoder.decode(piece, &mut pongs);
            if self.down == Down::Open {
                self.pongs += pongs.len();
                self.to_client.push(&pongs);
            }
            if self.settings.traffic {
                traffic(if self.decoder.between_frames() {
                    "}"
                } else {
                    "}."
                });
            }
            self.write_to_target(cx, &piece[decoded.payload]);
            match decoded.end {
                None => {}
                Some(End::Close(close)) => self.client_closed(close),
                Some(End::Violation(violation)) => {
                    self.begin_close(violation.into(), ClosedBy::Client, true);
                    self.up = Up::Finishing { drain: true };
                }
            }
            Poll::Ready(())
        })
    }

    fn write_to_target(&mut self, cx: &mut Context<'_>, payload: &[u8]) {
        let Some(target) = &mut self.target else {
            return;
        };
        if payload.is_empty() {
            return;
        }
        // Where it fails, the target reads nothing any more, but may have something to say: that, or
        // its end of file, decides how the session ends.
        let sent = self.to_target.write(target, cx, payload).unwrap_or(0);
        self.from_client += sent as u64;
        if self.settings.traffic {
            traffic(if self.to_target.is_empty() { ">" } else { ">." });
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
                    let _ = ready!(Pin::new(&mut self.client).poll_shutdown(cx));
                }
                self.down = Down::Done;
                Poll::Ready(())
            }
            Down::Done => Poll::Pending,
        }
    }

    /// Reads once from the target and writes one frame to the client.
    fn pump_down(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        CHUNK.with_borrow_mut(|chunk| {
            let Some((room, payload)) = chunk.split_first_chunk_mut() else {
                return Poll::Pending;
            };
            let Some(target) = &mut self.target else {
                return Poll::Pending;
            };
            match ready!(read(target, cx, payload)) {
                Ok(0) if target.is_cut_off() => self.lose_target(Some(CUT_OFF)),
                Ok(0) => self.begin_close(Close::TARGET_CLOSED, ClosedBy::Target, false),
                Err(error) => {
                    // The kernel's reset says no more than the close reason does; TLS may.
                    let fault = Some(error.to_string()).filter(|_| error.raw_os_error().is_none());
                    self.lose_target(fault.as_deref());
                }
                Ok(size) => {
                    self.for_client += size as u64;
                    let header = frame::write_before(room, Opcode::Binary, size);
                    let whole = &chunk[LONGEST_SENT - header..LONGEST_SENT + size];
                    if self.settings.traffic {
                        traffic("{");
                    }
                    if self.to_client.write(&mut self.client, cx, whole).is_err() {
                        self.client_gone();
                    }
                    if self.settings.traffic {
                        traffic(if self.to_client.is_empty() { "<" } else { "<." });
                    }
                }
            }
            Poll::Ready(())
        })
    }

    fn flush_to_target(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(target) = &mut self.target else {
            return Poll::Ready(());
        };
        let before = self.to_target.len();
        let flushed = self.to_target.poll_flush(target, cx);
        let taken = before - self.to_target.len();
        self.from_client += taken as u64;
        if taken > 0 {
            self.target_took_some();
        }
        if matches!(flushed, Poll::Ready(Err(_))) {
            self.to_target = Unsent::default();
        }
        flushed.map(|_| ())
    }

    fn flush_to_client(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (before, stalled) = (self.to_client.len(), self.to_client.is_stalled());
        let flushed = self.to_client.poll_flush(&mut self.client, cx);
        if stalled && self.to_client.len() < before {
            self.client_took_some();
        }
        match flushed {
            Poll::Ready(Ok(())) => self.pongs = 0,
            Poll::Ready(Err(_)) => self.client_gone(),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    fn summary(self) -> Summary {
        let (close, closed_by) = self.end.unwrap_or((Close::SHUTDOWN, ClosedBy::Server));
        Summary {
            from_client: self.from_client,
            to_client: self.for_client.saturating_sub(self.to_client.len() as u64),
            duration: self.began.elapsed(),
            close,
            closed_by,
            fault: self.fault,
        }
    }
}

/// What the record says of a target whose TLS ended without its goodbye.
const CUT_OFF: &str = "no close_notify: it may have been cut off";

fn read(stream: &mut Stream, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(room);
    ready!(Pin::new(stream).poll_read(cx, &mut room))?;
    Poll::Ready(Ok(room.filled().len()))
}
