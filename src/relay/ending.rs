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
        if self.end.is_none() {
            self.end = Some((close, ClosedBy::Client));
            self.set_timer(limits::LINGER_TIME);
        }
        self.up = Up::Finishing { drain: false };
    }

    /// The client's end of file, without a close frame unless ours was there first.
    pub(super) fn client_ended(&mut self) {
        self.client_closed(Close::NONE);
    }

    /// The client's socket takes nothing any more.
    pub(super) fn client_gone(&mut self) {
        if self.end.is_none() {
            self.end = Some((Close::NONE, ClosedBy::Client));
            self.set_timer(limits::LINGER_TIME);
        }
        self.for_client = self.for_client.saturating_sub(self.to_client.len() as u64);
        self.to_client = Unsent::default();
        self.down = Down::Done;
    }

    /// The target's connection broke, for a reason if TLS gave one.
    pub(super) fn lose_target(&mut self, fault: Option<&str>) {
        if self.end.is_none() {
            self.fault = fault.map(Into::into);
        }
        self.begin_close(Close::TARGET_LOST, ClosedBy::Target, false);
    }

    /// Sends our close frame: the first word, or the answer to the client's.
    pub(super) fn begin_close(&mut self, close: Close, by: ClosedBy, end_of_file: bool) {
        if self.down != Down::Open {
            return;
        }
        let (said, end_of_file) = match &self.end {
            Some((clients, _)) => (clients.clone(), true),
            None => (close.clone(), end_of_file),
        };
        if said.code != ABNORMAL {
            let mut frame = Vec::new();
            frame::append(&mut frame, Opcode::Close, &said.payload());
            self.to_client.push(&frame);
        }
        self.end.get_or_insert((close, by));
        self.down = Down::Closing { end_of_file };
        self.set_timer(self.close_time());
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
        if self.end.is_some() && self.down == Down::Open {
            self.set_timer(limits::LINGER_TIME);
        }
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
            match (&self.end, self.down) {
                // The target had its time to finish.
                (Some(_), Down::Open) => {
                    self.begin_close(Close::TARGET_CLOSED, ClosedBy::Client, true);
                }
                (Some(_), _) => return Poll::Ready(()),
                (None, _) => self.beat(),
            }
        }
        Poll::Pending
    }

    /// Pings the client, or gives up on one that did not answer the last ping. While the target
    /// keeps us from reading the client, its answer may be waiting unread.
    fn beat(&mut self) {
        let Some(interval) = self.settings.heartbeat else {
            self.timer = None;
            return;
        };
        if !self.heard && self.to_target.is_empty() {
            self.begin_close(Close::NO_PONG, ClosedBy::Server, true);
            return;
        }
        self.heard = false;
        let mut ping = Vec::new();
        frame::append(&mut ping, Opcode::Ping, b"");
        self.to_client.push(&ping);
        self.set_timer(interval);
    }
}
