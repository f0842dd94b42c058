//! How the program leaves once nobody new is let in: to its successor, or for good.

use tokio::time::timeout;

use super::ends::{Signals, Why};
use super::hall::Hall;
use crate::drain::{Drainer, Word};
use crate::limits;
use crate::systemd::notify;
use crate::wrap::Kept;

/// How a process ends whose sessions go on in the next: `EX_TEMPFAIL` of sysexits(3head). Our units
/// take it for a success, and for a reason to start again.
const HANDED_OVER: u8 = 75;

/// Leaves for this reason; returns the exit status.
pub(super) async fn leave(
    why: Why,
    hall: &Hall,
    drainer: &Drainer,
    signals: &mut Signals,
    program: Option<Kept>,
) -> u8 {
    let mut status = match why {
        // Who ends a service tells all of its processes in the same moment: then it is no failure
        // that the program ended by that.
        Why::Program(ended) => {
            let told = ended > 128 && timeout(limits::TOLD_TOO, signals.next()).await.is_ok();
            if told { 0 } else { ended }
        }
        Why::Lost => 1,
        Why::Option(_) | Why::Told | Why::Restart => 0,
    };
    let successor = matches!(why, Why::Restart | Why::Lost) && hall.hands_over();
    if successor {
        if hand_over(hall, drainer, signals).await {
            // Without a helper it is a failure all the same.
            return if status == 0 { HANDED_OVER } else { status };
        }
        // We were told to end after all, which is no failure.
        status = 0;
    }
    end(hall, drainer, signals, program).await;
    status
}

/// Leaves the sessions that the service manager keeps to our successor, and ends all others before:
/// those go on meanwhile, so that they pause for a moment only. Says whether that came to pass: not
/// if we were told to end after all.
async fn hand_over(hall: &Hall, drainer: &Drainer, signals: &mut Signals) -> bool {
    notify::stopping("handing sessions over");
    let mut counts = hall.census.watch();
    drainer.tell(Word::Part);
    tokio::select! {
        left = timeout(limits::PART_TIME, counts.wait_for(|counts| counts.passing() == 0)) => {
            warn_of_left(left.is_err(), hall);
        }
        told = signals.next() => {
            if matches!(told, Why::Told) {
                return false;
            }
            log::warn!("told twice: handing over at once");
        }
        () = hall.linger(true) => {}
    }
    stop_helpers(hall).await;
    let sessions = hall.census.watch().borrow().kept;
    drainer.tell(Word::HandOver);
    let gone = counts.wait_for(|counts| counts.kept == 0);
    let late = tokio::select! {
        gone = timeout(limits::HAND_OVER_TIME, gone) => gone.is_err(),
        () = hall.linger(true) => true,
    };
    if late {
        let left = hall.census.watch().borrow().kept;
        log::error!("{left} sessions did not stand still: they may not be resumed");
    }
    log::info!("leaving {sessions} sessions to the next process");
    finish_recordings(hall).await;
    true
}

/// Ends every session, then whatever we have started.
async fn end(hall: &Hall, drainer: &Drainer, signals: &mut Signals, program: Option<Kept>) {
    notify::stopping("closing sessions");
    let mut counts = hall.census.watch();
    drainer.tell(Word::End);
    let program = tokio::select! {
        left = timeout(limits::DRAIN_TIME, counts.wait_for(|counts| counts.connections == 0)) => {
            warn_of_left(left.is_err(), hall);
            program
        }
        _ = signals.next() => {
            log::warn!("told twice: ending at once");
            // Its supervisor ends it without us.
            None
        }
        () = hall.linger(true) => None,
    };
    if let Some(program) = program {
        tokio::select! {
            () = program.stop() => {}
            _ = signals.next() => log::warn!("told again: ending at once"),
            () = hall.linger(true) => {}
        }
    }
    stop_helpers(hall).await;
    finish_recordings(hall).await;
}

fn warn_of_left(some: bool, hall: &Hall) {
    if some {
        log::warn!("ending with {} connections left", hall.ending());
    }
}

async fn stop_helpers(hall: &Hall) {
    tokio::join!(hall.context.door.stop(), hall.context.guide.stop());
}

async fn finish_recordings(hall: &Hall) {
    if let Some(recorder) = &hall.context.recorder {
        recorder.finish().await;
    }
}
