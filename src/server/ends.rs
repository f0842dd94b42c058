//! What ends the program: signals, and the options that say so.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::census::Counts;
use crate::wrap::Program;

/// SIGTERM and SIGINT, and SIGUSR2 for a restart: what our units have as `RestartKillSignal=`.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    restart: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            restart: signal(SignalKind::user_defined2())?,
        })
    }

    /// What the next one says.
    pub(super) async fn next(&mut self) -> Why {
        tokio::select! {
            _ = self.terminate.recv() => Why::Told,
            _ = self.interrupt.recv() => Why::Told,
            _ = self.restart.recv() => Why::Restart,
        }
    }
}

/// Why the program ends.
pub(super) enum Why {
    /// This option says so.
    Option(&'static str),
    /// The wrapped program has ended, and this is its status.
    Program(u8),
    /// A helper cannot be started again.
    Lost,
    /// A signal.
    Told,
    /// A signal that says that we are to be started anew.
    Restart,
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

/// Returns when all sessions that cannot be handed over have ended by themselves, at `last` at the
/// latest; never where there is no such time.
pub(super) async fn parted(last: Option<Instant>, mut counts: Watch) {
    match last {
        Some(last) => {
            let _ = timeout_at(last, counts.wait_for(|counts| counts.bound() == 0)).await;
        }
        None => std::future::pending().await,
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
