//! Keeps a helper running: at once after a first end, and in longer and longer intervals when it
//! does not stay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::State;
use super::launch::Starter;
use super::process::Running;
use crate::limits;

/// Runs until nobody can send a replacement any more; then the helper has ended.
pub(super) async fn supervise(
    starter: Starter,
    state: Arc<watch::Sender<State>>,
    mut current: Running,
    mut replacements: mpsc::Receiver<Running>,
) {
    let program = &starter.program;
    let mut failures = 0;
    loop {
        let since = Instant::now();
        let why = tokio::select! {
            new = replacements.recv() => {
                let Some(new) = new else { break };
                state.send_replace(State::Serving(new.desk()));
                current.retire(limits::HELPER_TIME);
                current = new;
                continue;
            }
            why = current.ended() => why,
        };
        if since.elapsed() >= limits::HELPER_SETTLED {
            failures = 0;
        }
        let quick = failures < limits::HELPER_QUICK_STARTS;
        if quick {
            log::error!("helper {program} {why}: starting it again");
        }
        let again = start_again(&starter, &state, &mut failures, &why);
        current = tokio::select! {
            new = again => new,
            new = replacements.recv() => match new {
                Some(new) => new,
                None => return,
            },
        };
        state.send_replace(State::Serving(current.desk()));
        log::info!("helper {program} serves again");
    }
    state.send_replace(State::Down);
    current.retire(limits::HELPER_LAST_WORDS);
    current.ended().await;
}

/// Returns when it runs, after any number of tries.
async fn start_again(
    starter: &Starter,
    state: &watch::Sender<State>,
    failures: &mut u32,
    why: &str,
) -> Running {
    let program = &starter.program;
    let mut why = why.to_owned();
    loop {
        if let Some(beyond) = failures.checked_sub(limits::HELPER_QUICK_STARTS) {
            let pace = pace(beyond);
            // Once for each time that it goes down, not for each try.
            if !matches!(&*state.borrow(), State::Down) {
                log::error!(
                    "helper {program} {why}, again and again: what needs it is answered 503; \
                     next start in {} s",
                    pace.as_secs()
                );
            }
            state.send_replace(State::Down);
            sleep(pace).await;
        } else {
            state.send_replace(State::Starting);
        }
        *failures = failures.saturating_add(1);
        match Running::start(starter).await {
            Ok(running) => return running,
            Err(error) => why = error,
        }
    }
}

/// A second, doubled with each further failure.
fn pace(beyond: u32) -> Duration {
    let factor = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
    limits::HELPER_PACE
        .saturating_mul(factor)
        .min(limits::HELPER_PACE_MOST)
}
