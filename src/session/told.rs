//! What ends a session beside its client and its target.

use std::future::pending;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::drain::{Drain, Word};
use crate::limits;
use crate::websocket::close::Close;

/// Returns when the session is to end, and why: the server ends, by the word `last` for this
/// session, its time is up, or the administrator says so.
pub(super) async fn told(
    mut drain: Drain,
    last: Word,
    until: Option<SystemTime>,
    ended: Option<&mut oneshot::Receiver<Close>>,
) -> Close {
    let expired = async {
        match until {
            Some(until) => {
                while let Some(pause) = next_look(until, SystemTime::now()) {
                    Box::pin(sleep(pause)).await;
                }
            }
            None => pending().await,
        }
    };
    let ordered = async {
        match ended {
            Some(ended) => ended.await.ok(),
            None => None,
        }
    };
    tokio::select! {
        _ = drain.reaches(last) => Close::SHUTDOWN,
        () = expired => Close::EXPIRED,
        Some(close) = ordered => close,
    }
}

/// How long to wait before the clock is looked at again; `None` when it is time.
fn next_look(until: SystemTime, now: SystemTime) -> Option<Duration> {
    let left = until.duration_since(now).ok()?;
    (!left.is_zero()).then(|| left.min(limits::CLOCK_LOOK))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::{next_look, told};
    use crate::drain::{Word, drain};
    use crate::websocket::close::Close;

    #[tokio::test]
    async fn a_session_ends_by_its_time_by_order_and_with_the_server() {
        let (drainer, drain) = drain();
        let now = SystemTime::now();
        let soon = Some(now + Duration::from_millis(20));
        assert_eq!(
            told(drain.clone(), Word::Part, soon, None).await,
            Close::EXPIRED
        );
        let past = Some(now - Duration::from_secs(1));
        assert_eq!(
            told(drain.clone(), Word::Part, past, None).await,
            Close::EXPIRED
        );
        let (end, mut ended) = oneshot::channel();
        end.send(Close::ENDED).unwrap();
        let later = Some(now + Duration::from_secs(u32::MAX.into()));
        let order = told(drain.clone(), Word::Part, later, Some(&mut ended));
        assert_eq!(order.await, Close::ENDED);
        // Nobody can give an order any more: that is none.
        let (_, mut ended) = oneshot::channel();
        let waiting = told(drain.clone(), Word::Part, later, Some(&mut ended));
        assert!(timeout(Duration::from_millis(20), waiting).await.is_err());
        drainer.tell(Word::End);
        assert_eq!(told(drain, Word::Part, later, None).await, Close::SHUTDOWN);
    }

    /// For it may be set, or go on while the machine sleeps and no timer runs.
    #[test]
    fn the_clock_is_looked_at_again_and_again() {
        let now = SystemTime::now();
        let seconds = Duration::from_secs;
        for (until, pause) in [
            (now + seconds(86_400), Some(seconds(60))),
            (now + seconds(61), Some(seconds(60))),
            (now + seconds(5), Some(seconds(5))),
            (now, None),
            (now - seconds(5), None),
        ] {
            assert_eq!(next_look(until, now), pause);
        }
    }
}
