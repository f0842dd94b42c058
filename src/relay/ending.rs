//! How a session ends, whoever says so first, and what happens by the clock meanwhile.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::unsent::Unsent;
use super::{Down, Relay, Up};
use crate::limits;
use crate::log::ClosedBy;
use crate::websocket::close::{ABNORMAL, Close};
use crate::websocket::frame::{self, Opcode};

impl Relay {
    /// The client's close frame: its own goodbye, or the answer to ours.
    pub(super) fn client_closed(&mut self, close: Close) {
        self.client_began(close);
        self.up = Up::Finishing { drain: false };
    }

    /// The client spoke first, unless somebody has spoken already.
    fn client_began(&mut self, close: Close) {
        if self.end.is_none() {
            self.end = Some((close, ClosedBy::Client));
            self.set_timer(limits::LINGER_TIME);
        }
    }

    /// The client's end of file, without a close frame unless ours was there first.
    pub(super) fn client_ended(&mut self) {
        self.client_closed(Close::NONE);
    }

    /// The client's socket takes nothing any more.
    pub(super) fn client_gone(&mut self) {
        self.client_began(Close::NONE);
        let unsent = self.framing.carried(self.to_client.len());
        self.tally.not_for_client(unsent);
        self.to_client = Unsent::default();
        self.pongs = 0;
        self.client_shut = true;
        self.client_served();
    }

    /// The client's connection broke, for a reason if TLS gave one.
    pub(super) fn lose_client(&mut self, fault: Option<&str>) {
        if self.end.is_none() {
            self.fault = fault.map(Into::into);
        }
        self.client_ended();
        self.client_gone();
    }

    /// There is nothing more to send to the client.
    pub(super) fn client_served(&mut self) {
        let silent = self.target.is_none() || self.target_ended;
        self.down = if silent { Down::Done } else { Down::Discarding };
        self.begin_last_look();
    }

    /// When only the target is left and still talks, it is given a little time to finish.
    pub(super) fn begin_last_look(&mut self) {
        if self.up == Up::Done && self.down == Down::Discarding {
            self.last_look = Some(Instant::now() + limits::FAREWELL_TIME);
            self.set_timer(limits::LINGER_TIME);
        }
    }

    /// The target said something: it is at work on what it was sent.
    pub(super) fn go_on_looking(&mut self) {
        if let Some(until) = self.last_look {
            let left = until.saturating_duration_since(Instant::now());
            self.set_timer(limits::LINGER_TIME.min(left));
        }
    }

    /// The target's end of file.
    pub(super) fn target_ended(&mut self) {
        if self.target_reset {
            return self.lose_target(None);
        }
        self.target_ended = true;
        self.begin_close(Close::TARGET_CLOSED, ClosedBy::Target, false);
    }

    /// The target's connection broke, for a reason if TLS gave one.
    pub(super) fn lose_target(&mut self, fault: Option<&str>) {
        if self.end.is_none() {
            self.fault = fault.map(Into::into);
        }
        self.target_ended = true;
        self.begin_close(Close::TARGET_LOST, ClosedBy::Target, false);
    }

    /// Sends our close frame: the first word, or the answer to the client's.
    pub(super) fn begin_close(&mut self, close: Close, by: ClosedBy, end_of_file: bool) {
        if self.down != Down::Open {
            return;
        }
        self.has_changed();
        let (said, end_of_file) = match &self.end {
            Some((clients, _)) => (clients.clone(), true),
            None => (
                close.clone(),
                end_of_file || !self.framing.has_control_frames(),
            ),
        };
        if said.code != ABNORMAL {
            self.to_client.push(&self.framing.close(&said));
        }
        self.end.get_or_insert((close, by));
        self.down = Down::Closing { end_of_file };
        self.set_timer(self.close_time());
    }

    /// We end the session. Where it is not the server that ends, the client has no more say: nobody
    /// holds on to a session that was taken away.
    pub(super) fn end_by(&mut self, close: Close) {
        let at_once = close != Close::SHUTDOWN;
        if at_once && self.up == Up::Open {
            self.up = Up::Finishing { drain: true };
            self.set_timer(limits::CLOSE_TIME);
        }
        self.begin_close(close, ClosedBy::Server, at_once);
    }

    /// How long a client may take for its next step once our close frame is on its way.
    fn close_time(&self) -> Duration {
        match self.end {
            Some((_, ClosedBy::Target)) => limits::FAREWELL_TIME,
            _ => limits::CLOSE_TIME,
        }
    }

    /// A slow client is on its way to our close frame: the time starts anew.
    pub(super) fn client_took_some(&mut self) {
        self.heard = true;
        if let Down::Closing { .. } = self.down {
            self.set_timer(self.close_time());
        }
    }

    /// A slow target is on its way to what the client sent last.
    pub(super) fn target_took_some(&mut self) {
        self.stalled = Some(Instant::now());
        if self.end.is_some() && !matches!(self.down, Down::Closing { .. }) {
            // After the target's own end it is the client that has to finish: not less than its time.
            self.set_timer(limits::LINGER_TIME.max(self.close_time()));
        }
    }

    /// The target takes nothing for now. The client is not read meanwhile, so its leaving would
    /// not be noticed: a timer looks after it. Says whether that is new, and has to be polled.
    pub(super) fn target_stalls(&mut self) -> bool {
        self.stalled.get_or_insert_with(Instant::now);
        let unwatched = self.timer.is_none();
        if unwatched {
            self.set_timer(limits::FAREWELL_TIME);
        }
        unwatched
    }

    pub(super) fn set_timer(&mut self, after: Duration) {
        let at = Instant::now() + after;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Ready when the session's last moment has come.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            match (self.end.is_some(), self.down) {
                // The target had its time to finish.
                (true, Down::Open) => {
                    self.begin_close(Close::TARGET_CLOSED, ClosedBy::Client, true);
                }
                (true, _) => return Poll::Ready(()),
                (false, _) if self.tick().is_ready() => return Poll::Ready(()),
                (false, _) => {}
            }
        }
        Poll::Pending
    }

    /// What the clock asks for while the session lives. Ready when its client has left behind a
    /// target that has taken nothing for long.
    fn tick(&mut self) -> Poll<()> {
        let stalled = self.stalled.map(|since| since.elapsed());
        if stalled.is_some_and(|time| time >= limits::FAREWELL_TIME) && self.client.has_left() {
            self.end = Some((Close::NONE, ClosedBy::Client));
            return Poll::Ready(());
        }
        match (self.settings.heartbeat, stalled) {
            (Some(interval), _) => self.beat(interval),
            (None, Some(_)) => self.set_timer(limits::FAREWELL_TIME),
            (None, None) => self.timer = None,
        }
        Poll::Pending
    }

    /// Pings the client, or gives up on one that did not answer the last ping. While the target
    /// keeps us from reading the client, its answer may be waiting unread.
    fn beat(&mut self, interval: Duration) {
        // Nor do we read a client that does not take its pongs.
        let reads = self.to_target.is_empty() && self.pongs <= limits::PONG_BACKLOG;
        if !self.heard && reads && self.client.has_unread() && !self.looked {
            // It may be waiting all the same, where we come late, and the runtime may not know yet:
            // after SIGCONT, epoll_wait(2) comes back with nothing. Read first, judge after. Once,
            // where the kernel does TLS: half a record is there for poll(2), and cannot be read.
            self.looked = self.client.is_kernel_tls();
            self.set_timer(limits::LATE_LOOK);
            return;
        }
        if !self.heard && reads {
            self.begin_close(Close::NO_PONG, ClosedBy::Server, true);
            return;
        }
        self.heard = false;
        self.looked = false;
        if !self.to_client.is_stalled() {
            // Behind what it does not take it would not be seen, and there would be ever more of them.
            let mut ping = Vec::new();
            frame::append(&mut ping, Opcode::Ping, b"");
            self.to_client.push(&ping);
        }
        self.set_timer(interval);
    }
}
