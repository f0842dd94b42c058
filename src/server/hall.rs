//! Where accepted clients are let in or turned away.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::census::{Census, Full};
use crate::limits;
use crate::listener::{Accepted, Listener};
use crate::log::Throttle;
use crate::session::{self, Context};
use crate::stream::Socket;
use crate::systemd::notify;
use crate::wrap::Program;

/// What every listener shares.
pub(super) struct Hall {
    pub(super) census: Arc<Census>,
    pub(super) context: Arc<Context>,
    turned_away: Throttle,
    refusing: AtomicU32,
}

impl Hall {
    pub(super) fn new(census: Arc<Census>, context: Arc<Context>) -> Arc<Self> {
        let (turned_away, refusing) = (Throttle::default(), AtomicU32::new(0));
        Arc::new(Self {
            census,
            context,
            turned_away,
            refusing,
        })
    }

    /// Accepts for as long as it is polled. Nothing that accept(2) says ends it.
    pub(super) async fn keep(self: Arc<Self>, listener: Arc<Listener>) {
        let failures = Throttle::default();
        loop {
            match listener.accept().await {
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
        let program = self.context.program.as_ref();
        let program = program.map(|program| format!(", {program}"));
        format!(
            "{} session{plural}, {} served, target {}{}",
            counts.sessions,
            counts.served,
            self.context.target,
            program.unwrap_or_default()
        )
    }

    /// Keeps the manager's status line current, a little behind; it was `told` one already.
    pub(super) async fn report(&self, mut told: String) {
        let mut counts = self.census.watch();
        let mut program = self.context.program.clone();
        loop {
            let now = self.status();
            if now != told {
                notify::status(&now);
                told = now;
                sleep(limits::STATUS_INTERVAL).await;
                continue;
            }
            tokio::select! {
                changed = counts.changed() => if changed.is_err() { return },
                () = changed(program.as_mut()) => {}
            }
        }
    }
}

async fn changed(program: Option<&mut Program>) {
    match program {
        Some(program) => program.changed().await,
        None => std::future::pending().await,
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
