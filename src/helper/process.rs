//! One run of a helper: its questions and answers, and its end.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::codec::{self, Fields};
use super::launch::{Lead, Run, Starter};
use super::lines::{Line, Lines};
use super::program::Program;
use super::{Fault, words};
use crate::limits;

/// A process that speaks the protocol. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    desk: Arc<Desk>,
    /// How long it may take to finish.
    goodbye: Option<oneshot::Sender<Duration>>,
    life: JoinHandle<String>,
}

/// Where questions are asked.
#[derive(Debug)]
pub(super) struct Desk {
    turns: Arc<Semaphore>,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    next: u64,
    /// By their numbers, so the oldest is the first.
    open: BTreeMap<u64, Open>,
    /// To its standard input; none when it is to finish.
    lines: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

/// A question that was asked. It keeps its turn until it is answered, also when whoever asked has
/// left: clients that come and go must not pile up questions.
#[derive(Debug)]
struct Open {
    since: Instant,
    answer: oneshot::Sender<Fields>,
    _turn: OwnedSemaphorePermit,
}

/// This run takes no further questions; the next may.
pub(super) struct NotAsked;

impl Running {
    /// Starts it, and returns when it has answered the first question.
    ///
    /// # Errors
    /// What happened, to stand behind the helper's name.
    pub(super) async fn start(starter: &Starter) -> Result<Self, String> {
        let run = timeout(limits::HELPER_START_TIME, starter.start()).await;
        let run = run.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let run = run.map_err(|error| format!("cannot be started: {error}"))?;
        let (lines, questions) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            turns: Arc::new(Semaphore::new(limits::HELPER_QUESTIONS)),
            book: Mutex::new(Book {
                next: 0,
                open: BTreeMap::new(),
                lines: Some(lines),
            }),
        });
        let (goodbye, told) = oneshot::channel();
        let process = Process {
            run,
            program: starter.program.clone(),
        };
        let mut running = Self {
            desk: desk.clone(),
            goodbye: Some(goodbye),
            life: tokio::spawn(process.live(desk, questions, told)),
        };
        let greeting = codec::greeting();
        match timeout(limits::HELPER_START_TIME, running.desk.ask(&greeting)).await {
            Ok(Ok(Ok(answer))) if answer.get("protocol") == Some(&codec::PROTOCOL.into()) => {
                Ok(running)
            }
            Ok(Ok(Ok(_))) => Err(format!(
                "does not speak the protocol of websockify-helper(7): \
                 its first answer has no \"protocol\":{}",
                codec::PROTOCOL
            )),
            Ok(_) => Err(running.ended().await),
            Err(_) => Err(format!(
                "did not answer the first question within {} s",
                limits::HELPER_START_TIME.as_secs()
            )),
        }
    }

    pub(super) fn desk(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    /// Returns when it has ended and was reaped, with why, to stand behind the helper's name.
    pub(super) async fn ended(&mut self) -> String {
        let ended = (&mut self.life).await;
        ended.unwrap_or_else(|error| error.to_string())
    }

    /// Lets it answer what it was asked and end, and kills it when `patience` is over.
    pub(super) fn retire(&mut self, patience: Duration) {
        if let Some(goodbye) = self.goodbye.take() {
            let _ = goodbye.send(patience);
        }
    }
}

impl Desk {
    /// Waits for a turn, asks, and waits for the answer.
    pub(super) async fn ask(&self, question: &Fields) -> Result<Result<Fields, Fault>, NotAsked> {
        let turn = self.turns.clone().acquire_owned();
        let turn = turn.await.map_err(|_| NotAsked)?;
        let (answer, answered) = oneshot::channel();
        {
            let mut book = self.book();
            let id = book.next;
            let lines = book.lines.as_ref().ok_or(NotAsked)?;
            // Fails when the run has ended in this moment.
            lines
                .send(codec::line(id, question))
                .map_err(|_| NotAsked)?;
            book.next += 1;
            let open = Open {
                since: Instant::now(),
                answer,
                _turn: turn,
            };
            book.open.insert(id, open);
        }
        Ok(answered.await.map_err(|_| Fault::Ended))
    }

    /// Hands an answer over; false if there is no such question.
    fn answered(&self, id: u64, fields: Fields) -> bool {
        let open = self.book().open.remove(&id);
        // Whoever asked may have left.
        open.map(|open| open.answer.send(fields)).is_some()
    }

    /// No further questions.
    fn finish(&self) {
        self.turns.close();
        self.book().lines = None;
    }

    /// No further questions, and no answers.
    fn close(&self) {
        self.finish();
        self.book().open.clear();
    }

    /// Returns when a question was open for too long.
    async fn forgotten(&self) {
        loop {
            // The first one, to start, has a deadline of its own.
            let oldest = self.book().open.range(1..).next().map(|it| it.1.since);
            // A question that comes while this sleeps is not too old when it wakes.
            let age = oldest.map_or(Duration::ZERO, |since| since.elapsed());
            if age >= limits::HELPER_PATIENCE {
                return;
            }
            sleep(limits::HELPER_PATIENCE - age).await;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Process {
    run: Run,
    program: Program,
}

/// Why a process is of no use any more.
enum End {
    /// It left, or closed one of its streams, as it does when it leaves.
    Left,
    /// It broke the rules, and is not waited for.
    Broke(String),
}

impl Process {
    /// Serves the desk until this process has ended, and says why it did.
    async fn live(
        self,
        desk: Arc<Desk>,
        questions: mpsc::UnboundedReceiver<Vec<u8>>,
        told: oneshot::Receiver<Duration>,
    ) -> String {
        let Run {
            stdin,
            stdout,
            stderr,
            mut lead,
        } = self.run;
        let words = tokio::spawn(words::follow(stderr, self.program));
        let end = {
            let mut served = pin!(serve(&desk, questions, stdin, stdout, &mut lead));
            tokio::select! {
                end = &mut served => end,
                patience = told => {
                    desk.finish();
                    // Dropped without a word: at once.
                    let patience = patience.unwrap_or_default();
                    let end = timeout(patience, served).await;
                    end.unwrap_or_else(|_| End::Broke("did not end when told".to_owned()))
                }
            }
        };
        // First, so that nobody waits for an answer that cannot come.
        desk.close();
        if matches!(end, End::Left) {
            let _ = timeout(limits::HELPER_LAST_WORDS, lead.ended()).await;
        }
        let status = lead.kill().await;
        // A process that left the group may keep standard error open.
        let abort = words.abort_handle();
        if timeout(limits::HELPER_LAST_WORDS, words).await.is_err() {
            abort.abort();
        }
        match end {
            End::Broke(why) => why,
            End::Left if status.is_empty() => "is lost with the process that starts it".to_owned(),
            End::Left => format!("ended ({status})"),
        }
    }
}

/// Until it is of no use any more.
async fn serve(
    desk: &Desk,
    questions: mpsc::UnboundedReceiver<Vec<u8>>,
    stdin: Sender,
    stdout: Receiver,
    lead: &mut Lead,
) -> End {
    let mut answers = pin!(hear(desk, stdout));
    tokio::select! {
        end = &mut answers => end,
        // What it said last is still in the pipe.
        () = ask(questions, stdin) => last_words(answers).await,
        () = desk.forgotten() => End::Broke(format!(
            "left a question open for {} s",
            limits::HELPER_PATIENCE.as_secs()
        )),
        () = lead.ended() => last_words(answers).await,
    }
}

async fn last_words(answers: impl Future<Output = End>) -> End {
    let heard = timeout(limits::HELPER_LAST_WORDS, answers).await;
    heard.unwrap_or(End::Left)
}

/// Writes questions. Returns when it does not take them; not when there are no more, for it has
/// its answers to give then.
async fn ask(mut questions: mpsc::UnboundedReceiver<Vec<u8>>, mut stdin: Sender) {
    while let Some(line) = questions.recv().await {
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
    drop(stdin);
    std::future::pending::<()>().await;
}

/// Reads answers, to their end or to a line that is none.
async fn hear(desk: &Desk, stdout: Receiver) -> End {
    let mut lines = Lines::new(stdout, limits::HELPER_LINE);
    loop {
        let line = match lines.next().await {
            Ok(Some(Line::Whole(line))) => line,
            Ok(Some(Line::Part(line))) if line.len() == limits::HELPER_LINE => {
                let most = limits::HELPER_LINE;
                return End::Broke(format!("wrote a line of more than {most} bytes"));
            }
            // Cut off by its end, or its end itself.
            _ => return End::Left,
        };
        let (id, answer) = match codec::answer(line) {
            Ok(answer) => answer,
            Err(why) => return End::Broke(why.to_owned()),
        };
        if !desk.answered(id, answer) {
            return End::Broke(format!("answered question {id}, which is not open"));
        }
    }
}
