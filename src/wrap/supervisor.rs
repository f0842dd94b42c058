//! The process beside the bridge that starts the program and ends all of it.
//!
//! It has one thread, no socket of a client, and once it has become the program's user no more
//! rights than that. A bridge that was taken over can make it start or stop that one program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal as Kill, WaitOptions, WaitStatus};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Builder;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep_until};

use super::at;
use super::contract::{NEW_PORT, OLD_PORT};
use super::family::signal_all;
use super::message::{End, Event, Order};
use super::user::User;
use crate::beside;
use crate::error::Failure;
use crate::limits;
use crate::listener;

/// The first word of a command line that makes this program a supervisor. It is not for people.
pub const WORD: &str = "--supervise-wrapped-program";

/// What a supervisor is told by its command line.
#[derive(Debug)]
struct Task {
    old_port: String,
    new_port: u16,
    library: OsString,
    user: Option<String>,
    command: Vec<OsString>,
}

/// Does as standard input, the bridge's socket, says. Returns when nothing of the program is left.
///
/// # Errors
/// Why it could not even begin; it goes to the bridge's log.
pub fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let task = Task::parse(arguments)
        .ok_or_else(|| Failure::usage(format!("{WORD} is for the bridge's own use")))?;
    let cannot = |error: io::Error| Failure::start(format!("cannot supervise: {error}"));
    let channel = beside::begin().map_err(cannot)?;
    // Whoever loses a parent becomes our child: a daemon cannot run away.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| cannot(error.into()))?;
    let user = task.user.as_deref().map(User::find).transpose()?;
    if let Some(user) = &user {
        user.become_it().map_err(Failure::start)?;
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(cannot)?.block_on(async {
        let ended = beside::default_signals().map_err(cannot)?;
        let (orders, events) = UnixStream::from_std(channel).map_err(cannot)?.into_split();
        let supervisor = Supervisor {
            task,
            user,
            ended,
            events,
            main: None,
            look: None,
            childless: true,
        };
        supervisor.serve(BufReader::new(orders)).await;
        Ok(())
    })
}

impl Task {
    fn parse(arguments: &[OsString]) -> Option<Self> {
        let [old_port, new_port, library, user, command @ ..] = arguments else {
            return None;
        };
        Some(Self {
            old_port: old_port.to_str()?.to_owned(),
            new_port: new_port.to_str()?.parse().ok()?,
            library: library.clone(),
            user: Some(user.to_str()?.to_owned()).filter(|user| !user.is_empty()),
            command: (!command.is_empty()).then(|| command.to_vec())?,
        })
    }
}

struct Supervisor {
    task: Task,
    user: Option<User>,
    ended: Signal,
    events: OwnedWriteHalf,
    /// The program that was started last, while it runs.
    main: Option<Pid>,
    /// When to look next whether it listens, and the pause after that.
    look: Option<(Instant, Duration)>,
    /// Whether the bridge knows that there is no child.
    childless: bool,
}

impl Supervisor {
    async fn serve(mut self, orders: BufReader<OwnedReadHalf>) {
        let mut orders = orders.lines();
        loop {
            let next_look = self.look.map(|(at, _)| at);
            tokio::select! {
                order = orders.next_line() => {
                    match order.ok().flatten().as_deref().and_then(Order::parse) {
                        Some(Order::Start) => self.start().await,
                        Some(Order::Stop) | None => break,
                    }
                }
                _ = self.ended.recv() => self.reap().await,
                () = at(next_look) => self.look().await,
            }
        }
        self.stop().await;
    }

    async fn start(&mut self) {
        let event = match self.command().spawn() {
            Ok(child) => {
                self.main = Pid::from_raw(child.id().try_into().unwrap_or_default());
                self.childless = false;
                self.look = Some((Instant::now(), limits::PROGRAM_LOOK));
                Event::Started(self.main.map_or(0, Pid::as_raw_pid))
            }
            Err(error) => Event::Failed(error.to_string()),
        };
        self.tell(&event).await;
    }

    fn command(&self) -> Command {
        let mut words = self.task.command.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        command.args(words).process_group(0).stdin(Stdio::null());
        if let Some(user) = &self.user {
            command
                .env("HOME", &user.home)
                .env("SHELL", &user.shell)
                .env("USER", &user.name)
                .env("LOGNAME", &user.name);
        }
        let mut preload = self.task.library.clone();
        if let Some(others) = env::var_os("LD_PRELOAD").filter(|it| !it.is_empty()) {
            preload.push(":");
            preload.push(others);
        }
        command
            .env("LD_PRELOAD", preload)
            .env(OsStr::from_bytes(OLD_PORT.to_bytes()), &self.task.old_port)
            .env(
                OsStr::from_bytes(NEW_PORT.to_bytes()),
                self.task.new_port.to_string(),
            );
        command
    }

    /// Takes leave of every child that has ended.
    async fn reap(&mut self) {
        let mut main_end = None;
        let left = loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.main => {
                    self.main = None;
                    main_end = end(status);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if let Some(end) = main_end {
            self.tell(&Event::Ended { end, left }).await;
        }
        if !left && !self.childless {
            self.childless = true;
            self.look = None;
            self.tell(&Event::Gone).await;
        }
    }

    async fn look(&mut self) {
        let Some((_, pause)) = self.look else { return };
        if listener::is_listened_on(self.task.new_port) {
            self.look = None;
            self.tell(&Event::Listening).await;
        } else {
            let longer = pause.saturating_mul(2).min(limits::PROGRAM_LOOK_MOST);
            self.look = Some((Instant::now() + pause, longer));
        }
    }

    /// Ends everybody who descends from us: asks first, and kills after the grace.
    async fn stop(&mut self) {
        // Who is stopped hears SIGTERM when it goes on.
        signal_all(self.main, &[Kill::TERM, Kill::CONT]);
        let mut next = Instant::now() + limits::PROGRAM_GRACE;
        let mut rounds = 0;
        loop {
            self.reap().await;
            if self.childless || rounds > limits::PROGRAM_KILLS {
                return;
            }
            tokio::select! {
                _ = self.ended.recv() => {}
                () = sleep_until(next) => {
                    signal_all(self.main, &[Kill::KILL]);
                    next = Instant::now() + limits::PROGRAM_KILL_AGAIN;
                    rounds += 1;
                }
            }
        }
    }

    async fn tell(&mut self, event: &Event) {
        // A bridge that is gone ends the orders as well.
        let _ = self.events.write_all(event.line().as_bytes()).await;
    }
}

fn end(status: WaitStatus) -> Option<End> {
    let number = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Some(End::Status(number(status))),
        (_, Some(signal)) => Some(End::Signal(number(signal))),
        (None, None) => None,
    }
}
