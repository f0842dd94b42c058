//! What ends the program: signals, and the options that say so.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::census::Counts;
use crate::wrap::Program;

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Why the program ends.
pub(super) enum Why {
    /// This option says so.
    Option(&'static str),
    /// The wrapped program has ended, and this is its status.
    Program(u8),
    /// A signal.
    Told,
}

type Watch = watch::Receiver<Counts>;

/// Returns after `time`, if there is one.
pub(super) async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Returns when nobody has been here for `time`. Somebody may come before that is acted upon.
pub(super) async fn idle(time: Option<Duration>, mut counts: Watch) {
    let Some(time) = time else {
        return std::future::pending().await;
    };
    while counts
        .wait_for(|counts| counts.connections == 0)
        .await
        .is_ok()
    {
        let deadline = Instant::now() + time;
        tokio::select! {
            biased;
            _ = counts.wait_for(|counts| counts.connections > 0) => {}
            () = sleep_until(deadline) => return,
        }
    }
}

/// Returns when the one session has begun.
pub(super) async fn begun(once: bool, mut counts: Watch) {
    if !once {
        std::future::pending::<()>().await;
    }
    let _ = counts.wait_for(|counts| counts.served > 0).await;
}

/// Returns when the one connection is over.
pub(super) async fn empty(only_one: bool, mut counts: Watch) {
    if !only_one {
        std::future::pending::<()>().await;
    }
    let _ = counts.wait_for(|counts| counts.connections == 0).await;
}

/// Returns when the wrapped program's end is ours, with its exit status.
pub(super) async fn ended(program: Option<&Program>) -> u8 {
    match program {
        Some(program) => program.ends_us().await,
        None => std::future::pending().await,
    }
}
