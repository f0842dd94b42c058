//! A program of the administrator's that answers questions: who may come in, where a token leads.
//!
//! It runs as long as we do and speaks JSON, one object a line: man/websockify-helper.7 has the
//! protocol. Questions have numbers, so that many may be open at once. [`program`] is what to run,
//! [`process`] one run of it, [`supervisor`] starts it anew, [`codec`] reads its lines.
//!
//! It does not live in our sandbox: [`starter`] is a process that was started before we went there,
//! and starts and kills a run by word of [`launch`]. What they hand each other is in [`handing`].

pub mod codec;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handing;
mod launch;
mod lines;
mod process;
mod program;
pub mod starter;
mod supervisor;
mod words;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::limits;
use crate::log::Throttle;
use crate::log::escape::Escaped;
use codec::Fields;
use launch::Starter;
use process::Desk;
pub use process::Running;
pub use program::Program;

/// A helper, whatever run of it is the current one.
#[derive(Debug)]
pub struct Helper {
    starter: Starter,
    state: Arc<watch::Sender<State>>,
    supervisor: Mutex<Option<Supervisor>>,
    complaints: Throttle,
}

/// Where a question goes.
#[derive(Clone, Debug)]
enum State {
    /// A run is on its way: a question waits for it.
    Starting,
    Serving(Arc<Desk>),
    /// It does not keep running: questions fail at once.
    Down,
}

#[derive(Debug)]
struct Supervisor {
    replacements: mpsc::Sender<Running>,
    task: JoinHandle<()>,
}

/// Why a question has no answer. None of them lets anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ends each time that it is started.
    #[error("the helper does not run")]
    Down,
    /// No answer, or no turn to ask, within [`limits::HELPER_TIME`].
    #[error("no answer from the helper in time")]
    Late,
    /// It ended, or was ended, while the question was open.
    #[error("the helper ended before it answered")]
    Ended,
    /// The answer is not one to this question.
    #[error("the helper's answer makes no sense")]
    Nonsense,
}

impl Helper {
    /// A helper that does not run yet, and the process that will start it: call this before there
    /// are threads and before the sandbox.
    ///
    /// # Errors
    /// One sentence that names the program.
    pub fn new(program: Program) -> Result<Self, String> {
        let name = program.to_string();
        let starter = Starter::new(program);
        let starter = starter.map_err(|why| format!("helper {name}: cannot be started: {why}"))?;
        Ok(Self {
            starter,
            state: Arc::new(watch::channel(State::Starting).0),
            supervisor: Mutex::new(None),
            complaints: Throttle::default(),
        })
    }

    /// Starts it, and returns when it has shown that it speaks the protocol.
    ///
    /// # Errors
    /// One sentence that names the program.
    pub async fn start(&self) -> Result<(), String> {
        let first = self.another().await?;
        let (replacements, renewed) = mpsc::channel(1);
        self.state.send_replace(State::Serving(first.desk()));
        let supervised =
            supervisor::supervise(self.starter.clone(), self.state.clone(), first, renewed);
        *self.supervisor() = Some(Supervisor {
            replacements,
            task: tokio::spawn(supervised),
        });
        Ok(())
    }

    /// Starts a second run, which nobody asks yet.
    ///
    /// # Errors
    /// One sentence that names the program.
    pub async fn another(&self) -> Result<Running, String> {
        let started = Running::start(&self.starter).await;
        started.map_err(|why| format!("helper {self}: {why}"))
    }

    /// Asks `new` from now on; the run before finishes what it was asked, and ends.
    pub fn replace(&self, new: Running) {
        if let Some(supervisor) = &*self.supervisor() {
            // Full only if a replacement came in this moment, and that one is as new.
            let _ = supervisor.replacements.try_send(new);
        }
    }

    /// Ends it; returns when it is gone.
    pub async fn stop(&self) {
        let supervisor = self.supervisor().take();
        if let Some(Supervisor { replacements, task }) = supervisor {
            drop(replacements);
            let _ = task.await;
        }
    }

    /// Returns when it cannot be started again, because the process that does so was killed.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let starter = self.starter.clone();
        async move {
            starter.lost().await;
            log::error!("the process that starts helper {} is gone", starter.program);
        }
    }

    /// Asks, and returns its answer, within [`limits::HELPER_TIME`].
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, question: &Fields) -> Result<Fields, Fault> {
        let asking = async {
            let mut state = self.state.subscribe();
            loop {
                let now = state.borrow_and_update().clone();
                match now {
                    State::Down => return Err(Fault::Down),
                    State::Starting => {}
                    State::Serving(desk) => {
                        if let Ok(answer) = desk.ask(question).await {
                            return answer;
                        }
                        // It is on its way out, and the next will be told of.
                    }
                }
                if state.changed().await.is_err() {
                    return Err(Fault::Down);
                }
            }
        };
        timeout(limits::HELPER_TIME, asking)
            .await
            .unwrap_or(Err(Fault::Late))
    }

    /// Tells the administrator what is wrong with an answer.
    pub fn complain(&self, why: &str) {
        if let Some(more) = self.complaints.pass() {
            let why = Escaped(why);
            log::error!("helper {self}: an answer cannot be used: {why}{more}");
        }
    }

    fn supervisor(&self) -> std::sync::MutexGuard<'_, Option<Supervisor>> {
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.starter.program.fmt(f)
    }
}
