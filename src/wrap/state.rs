//! What others see of a wrapped program: its state, and a target that may not be there yet.

use std::fmt;
use std::future::Future;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Mode;
use super::message::End;
use crate::limits;

/// A wrapped program, as sessions and the status line know it.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) state: watch::Receiver<State>,
}

/// What a program is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs and does not listen yet.
    Starting,
    /// The same, for longer than a start takes.
    Silent,
    /// It listens.
    Listening,
    /// The program that we started has ended, and left others behind.
    Background {
        /// Whether they listen.
        listening: bool,
    },
    /// It has ended and is about to be started again.
    Pausing,
    /// It has ended for good; `None` where somebody else knows how.
    Over(Option<End>),
    /// The supervisor is gone.
    Lost,
    /// It is the service manager's to start, to watch and to end.
    Elsewhere,
}

impl State {
    /// Whether clients can be served, as far as we know.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        matches!(
            self,
            Self::Listening | Self::Background { listening: true } | Self::Elsewhere
        )
    }

    /// Whether waiting is of no use.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Lost)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Silent => "not listening",
            Self::Listening => "listening",
            Self::Background { listening: true } => "listening in the background",
            Self::Background { listening: false } => "in the background, not listening",
            Self::Pausing => "ended, about to be started again",
            Self::Over(Some(end)) => return write!(f, "ended with {end}"),
            Self::Over(None) => "ended",
            Self::Lost => "lost",
            Self::Elsewhere => "in a unit of its own",
        })
    }
}

impl Program {
    /// Tries `attempt` until it succeeds, for as long as a connection may take at all: a program that
    /// is starting, or starting again, does not listen yet.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn patiently<T, E, F>(&self, attempt: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let deadline = Instant::now() + limits::CONNECT_TIME;
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            let answer = attempt().await;
            if answer.is_ok() || now.is_over() {
                return answer;
            }
            let another_chance = async {
                if now.is_listening() {
                    // It may serve one client at a time, and listen again soon.
                    sleep(limits::PROGRAM_RETRY).await;
                } else if state.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if timeout_at(deadline, another_chance).await.is_err() {
                return answer;
            }
        }
    }

    /// Whether it has ended for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.borrow().is_over()
    }

    /// Returns when clients can be served, or will not be soon; never where its end is ours.
    pub async fn settled(&self) {
        let mut state = self.state.clone();
        let settled =
            state.wait_for(|it| it.is_listening() || it.is_over() || *it == State::Silent);
        // Whoever starts it again and again is not waited for.
        let _ = timeout(limits::PROGRAM_SETTLE_TIME, settled).await;
        if self.mode == Mode::Exit && self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when we are to end because it has, with the exit status for that.
    pub async fn ends_us(&self) -> u8 {
        let mut state = self.state.clone();
        if *state.borrow() == State::Elsewhere {
            // Its keeper ends us as well, if that is to be.
            std::future::pending::<()>().await;
        }
        let ended = state.wait_for(|it| match it {
            State::Over(_) => self.mode == Mode::Exit,
            State::Lost => true,
            _ => false,
        });
        match ended.await.as_deref() {
            Ok(State::Over(Some(end))) => end.status(),
            _ => 1,
        }
    }

    /// Returns with each change.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, *self.state.borrow())
    }
}
