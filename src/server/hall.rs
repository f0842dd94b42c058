//! Where accepted clients are let in or turned away.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, sleep, timeout};

use super::census::{Census, Full};
use super::pulse::{Beat, Pulse};
use crate::limits;
use crate::listener::{Accepted, Listener};
use crate::log::Throttle;
use crate::sandbox::Sandbox;
use crate::session::{self, Context};
use crate::stream::Socket;
use crate::systemd::notify;

/// What every listener shares.
pub(super) struct Hall {
    pub(super) census: Arc<Census>,
    pub(super) context: Arc<Context>,
    pub(super) pulse: Pulse,
    sandbox: Sandbox,
    turned_away: Throttle,
    refusing: AtomicU32,
}

impl Hall {
    pub(super) fn new(census: Arc<Census>, context: Arc<Context>, sandbox: Sandbox) -> Arc<Self> {
        let (turned_away, refusing) = (Throttle::default(), AtomicU32::new(0));
        Arc::new(Self {
            census,
            context,
            pulse: Pulse::default(),
            sandbox,
            turned_away,
            refusing,
        })
    }

    /// Accepts for as long as it is polled. Nothing that accept(2) says ends it.
    pub(super) async fn keep(self: Arc<Self>, listener: Arc<Listener>, mut beat: Beat) {
        let failures = Throttle::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                index = beat.next() => {
                    self.pulse.beat(index);
                    continue;
                }
            };
            match accepted {
                Ok(accepted) => self.admit(accepted),
                Err(error) => {
                    if let Some(more) = failures.pass() {
                        log::warn!("cannot accept on {listener}: {error}{more}");
                    }
                    sleep(limits::ACCEPT_COOLDOWN).await;
                }
            }
        }
    }

    pub(super) fn admit(self: &Arc<Self>, accepted: Accepted) {
        match self.census.enter(accepted.peer.ip()) {
            Ok(seat) => {
                tokio::spawn(session::run(accepted, seat, self.context.clone()));
            }
            Err(full) => self.turn_away(accepted, full),
        }
    }

    fn turn_away(self: &Arc<Self>, accepted: Accepted, full: Full) {
        if let Some(more) = self.turned_away.pass() {
            let option = match full {
                Full::Server => "--max-connections",
                Full::Address => "--max-connections-per-address",
            };
            log::warn!("turned away client={} by {option}{more}", accepted.peer);
        }
        if self.refusing.fetch_add(1, Ordering::Relaxed) < limits::REFUSALS_AT_ONCE {
            let hall = self.clone();
            tokio::spawn(async move {
                let _ = timeout(limits::REFUSAL_TIME, refuse(accepted.socket)).await;
                hall.refusing.fetch_sub(1, Ordering::Relaxed);
            });
        } else {
            self.refusing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn status(&self) -> String {
        let counts = self.census.watch();
        let counts = counts.borrow();
        let plural = if counts.sessions == 1 { "" } else { "s" };
        format!(
            "{} session{plural}, {} served, target {}, sandbox {}",
            counts.sessions,
            counts.served,
            self.context.target,
            self.sandbox.summary()
        )
    }

    /// Keeps the manager's status line current, a little behind; it was `told` one already.
    pub(super) async fn report(&self, mut told: String) {
        let mut counts = self.census.watch();
        loop {
            let now = self.status();
            if now != told {
                notify::status(&now);
                told = now;
                sleep(limits::STATUS_INTERVAL).await;
            } else if counts.changed().await.is_err() {
                return;
            }
        }
    }

    /// Keeps the manager's patience while nobody is accepted any more; `stopping` where it waits for
    /// our end.
    pub(super) async fn linger(&self, stopping: bool) {
        let mut beat = self.pulse.alone();
        let mut second = interval(limits::STATUS_INTERVAL);
        loop {
            tokio::select! {
                index = beat.next() => self.pulse.beat(index),
                _ = second.tick(), if stopping => {
                    let left = self.census.watch().borrow().connections;
                    notify::extend(limits::STOP_EXTENSION, &format!("closing {left} connections"));
                }
            }
        }
    }
}

/// Says 503 and reads what the client has sent, so that closing does not take the answer back.
async fn refuse(mut stream: Socket) -> io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: websockify\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\nRetry-After: 10\r\n\
        Connection: close\r\n\r\nToo many connections\n";
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
