//! The bridge's side: what a program's end means, and when it is started again.

use std::io;
use std::time::Duration;

use log::Level;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::launch::pipe;
use super::message::{End, Event, Order};
use super::output;
use super::pacing::Pacing;
use super::state::{Program, State};
use super::{Mode, Supervised, at};
use crate::drain::Drain;
use crate::limits;
use crate::listener::Reserved;

/// Keeps a program while this value lives; so does the program's supervisor.
#[derive(Debug)]
pub struct Kept {
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Kept {
    /// Ends the program and everything it has left behind. Returns when that is done, or will be
    /// without us.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.keeper.await;
    }
}

/// Keeps one program running, or not, as its mode says.
#[derive(Debug)]
pub struct Keeper {
    name: String,
    mode: Mode,
    wanted: u16,
    events: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    output: JoinSet<()>,
    state: watch::Sender<State>,
    pacing: Pacing,
    pid: Option<Pid>,
    started: Instant,
    /// When to start it again, or when to say that it does not listen.
    timer: Option<Instant>,
    ending: bool,
    _reserved: Reserved,
}

impl Supervised {
    /// Takes the supervisor into the runtime that runs this.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(self) -> io::Result<(Program, Keeper)> {
        self.channel.set_nonblocking(true)?;
        let (events, orders) = UnixStream::from_std(self.channel)?.into_split();
        let mut output = JoinSet::new();
        output.spawn(output::forward(pipe(&self.output.0)?, self.name.clone()));
        output.spawn(output::forward(pipe(&self.output.1)?, self.name.clone()));
        let (state, watched) = watch::channel(State::Starting);
        let program = Program {
            name: self.name.clone(),
            mode: self.mode,
            state: watched,
        };
        let keeper = Keeper {
            name: self.name,
            mode: self.mode,
            wanted: self.wanted,
            events: BufReader::new(events).lines(),
            orders,
            output,
            state,
            pacing: Pacing::default(),
            pid: None,
            started: Instant::now(),
            timer: None,
            ending: false,
            _reserved: self.reserved,
        };
        Ok((program, keeper))
    }
}

impl Keeper {
    /// Starts the program. Once the server is ending, it is not started again.
    #[must_use]
    pub fn begin(mut self, drain: Drain) -> Kept {
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(async move {
            self.start().await;
            tokio::select! {
                () = self.keep(drain) => {}
                _ = stopped => {}
            }
            self.stop().await;
        });
        Kept { stop, keeper }
    }

    /// Keeps the program for as long as it is polled.
    async fn keep(&mut self, mut drain: Drain) {
        loop {
            let timer = self.timer;
            tokio::select! {
                () = drain.told(), if !self.ending => self.ending = true,
                line = self.events.next_line() => match line {
                    Ok(Some(line)) => match Event::parse(&line) {
                        Some(event) => self.hear(event),
                        None => log::debug!("the supervisor says '{line}'"),
                    },
                    _ => break,
                },
                () = at(timer) => self.time_is_up().await,
            }
        }
        self.lose();
        std::future::pending::<()>().await;
    }

    async fn stop(mut self) {
        let _ = self.orders.write_all(Order::Stop.line().as_bytes()).await;
        let ending = async {
            while let Ok(Some(_)) = self.events.next_line().await {}
            // Its last words are in the pipes, whose other ends are closed by now.
            while self.output.join_next().await.is_some() {}
        };
        let kills = limits::PROGRAM_KILL_AGAIN * limits::PROGRAM_KILLS;
        if timeout(limits::PROGRAM_GRACE + kills, ending)
            .await
            .is_err()
        {
            log::error!("{} cannot be ended: something of it is left", self.name);
        }
    }

    async fn start(&mut self) {
        self.started = Instant::now();
        self.timer = Some(self.started + limits::PROGRAM_START_TIME);
        self.state.send_replace(State::Starting);
        // A supervisor that is gone is noticed where its events end.
        let _ = self.orders.write_all(Order::Start.line().as_bytes()).await;
    }

    async fn time_is_up(&mut self) {
        self.timer = None;
        let state = self.state.borrow().clone();
        match state {
            State::Pausing if !self.ending => self.start().await,
            State::Starting => {
                self.complain();
                self.state.send_replace(State::Silent);
            }
            State::Background { listening: false } => self.complain(),
            _ => {}
        }
    }

    fn complain(&self) {
        log::warn!(
            "{} has not bound port {} within {} s: give the port that it listens on; if it is a \
             script, the program it starts may be static or setuid",
            self.name,
            self.wanted,
            limits::PROGRAM_START_TIME.as_secs()
        );
    }

    fn hear(&mut self, event: Event) {
        // Who is started ever more slowly was told of when that began.
        let slow = self.pacing.is_slow();
        let news = |level| if slow { Level::Debug } else { level };
        match event {
            Event::Started(pid) => {
                self.pid = Pid::from_raw(pid);
                log::log!(news(Level::Info), "{} started, pid={pid}", self.name);
            }
            Event::Failed(why) => {
                log::log!(news(Level::Error), "cannot start {}: {why}", self.name);
                // What a shell says of a program that it cannot start.
                self.ended(End::Status(126), false);
            }
            Event::Listening => {
                log::log!(news(Level::Info), "{} listens", self.name);
                // In a pause it is one that was left behind, and the timer is the next start.
                if *self.state.borrow() != State::Pausing {
                    self.timer = None;
                }
                self.state.send_modify(|state| match state {
                    State::Background { listening } => *listening = true,
                    State::Starting | State::Silent => *state = State::Listening,
                    _ => {}
                });
            }
            Event::Ended { end, left } => {
                self.pid = None;
                self.ended(end, left);
            }
            Event::Gone => {
                if let State::Background { .. } = *self.state.borrow() {
                    log::warn!("nothing of {} is left", self.name);
                } else {
                    return;
                }
                self.timer = None;
                self.state.send_replace(State::Over(None));
            }
        }
    }

    fn ended(&mut self, end: End, left: bool) {
        let name = &self.name;
        let ran = self.started.elapsed();
        match self.mode {
            Mode::Exit => {
                let hint = if left && end == End::Status(0) {
                    "; it went to the background, which --wrap-mode=ignore is for"
                } else {
                    ""
                };
                log::info!("{name} ended with {end}{hint}");
                self.timer = None;
                self.state.send_replace(State::Over(Some(end)));
            }
            Mode::Ignore if left => {
                log::info!("{name} ended with {end} and goes on in the background");
                let listening = self.state.borrow().is_listening();
                self.state.send_replace(State::Background { listening });
            }
            Mode::Ignore => {
                log::warn!("{name} ended with {end}, and nothing of it is left");
                self.timer = None;
                self.state.send_replace(State::Over(Some(end)));
            }
            Mode::Respawn => {
                let pause = self.pacing.after(ran);
                if pause.time == Duration::ZERO {
                    log::info!("{name} ended with {end}: starting it again");
                } else if pause.news {
                    log::warn!(
                        "{name} ended with {end} after {:.1} s, again: it is started ever more \
                         slowly until it runs for {} s",
                        ran.as_secs_f64(),
                        limits::RESPAWN_WELL.as_secs()
                    );
                } else {
                    log::debug!("{name} ended with {end}");
                }
                self.timer = Some(Instant::now() + pause.time);
                self.state.send_replace(State::Pausing);
            }
        }
    }

    /// The supervisor was killed: what is left of the program is nobody's child any more.
    fn lose(&mut self) {
        log::error!("the supervisor of {} is gone", self.name);
        if let Some(group) = self.pid.take() {
            if let Err(error) = kill_process_group(group, Signal::TERM) {
                log::error!("{} goes on without us: {error}", self.name);
            }
        }
        self.state.send_replace(State::Lost);
    }
}
