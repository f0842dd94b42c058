//! Where accepted clients are let in or turned away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{interval, sleep};

use super::census::{Census, Full};
use super::pulse::{Beat, Pulse};
use super::turned_away::refuse;
use crate::limits;
use crate::listener::{Accepted, Listener};
use crate::log::{Event, Throttle};
use crate::sandbox::Sandbox;
use crate::session::{self, Context};
use crate::systemd::inherited::Left;
use crate::systemd::notify;
use crate::systemd::store::Store;
use crate::wrap::Program;

/// What every listener shares.
pub(super) struct Hall {
    pub(super) census: Arc<Census>,
    pub(super) context: Arc<Context>,
    pub(super) pulse: Pulse,
    pub(super) sandbox: Sandbox,
    /// Whether a restart waits for sessions that cannot be handed over.
    parting: AtomicBool,
    /// Why files are not as somebody wants them.
    refused: Mutex<Option<String>>,
}

impl Hall {
    pub(super) fn new(census: Arc<Census>, context: Arc<Context>, sandbox: Sandbox) -> Arc<Self> {
        Arc::new(Self {
            census,
            context,
            pulse: Pulse::default(),
            sandbox,
            parting: AtomicBool::new(false),
            refused: Mutex::default(),
        })
    }

    /// Accepts for as long as it is polled. Nothing that accept(2) says ends it.
    pub(super) async fn keep(self: Arc<Self>, listener: Arc<Listener>, mut beat: Beat) {
        let failures = Throttle::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = beat.next() => {
                    self.pulse.beat(&mut beat);
                    continue;
                }
            };
            match accepted {
                Ok(accepted) => self.admit(accepted),
                Err(error) => {
                    if let Some(more) = failures.pass() {
                        log::warn!("cannot accept on {listener}: {error}{more}");
                    }
                    sleep(limits::ACCEPT_COOLDOWN).await;
                }
            }
        }
    }

    pub(super) fn admit(self: &Arc<Self>, accepted: Accepted) {
        // Whose connection a trusted proxy's is, it has yet to say.
        let proxy = self.context.proxies.trusts(&accepted.peer);
        let from = accepted.peer.ip().filter(|_| !proxy);
        match self.census.enter(from) {
            Ok(seat) => {
                tokio::spawn(session::run(accepted, seat, self.context.clone()));
            }
            Err(full) => self.turn_away(accepted, full),
        }
    }

    fn turn_away(&self, accepted: Accepted, full: Full) {
        let context = self.context.clone();
        tokio::spawn(async move {
            let Accepted { mut socket, peer } = accepted;
            let refusing = async {
                // A PROXY header, if there is to be one, comes before what tells TLS.
                let _ = context.proxies.caller(&mut socket, peer).await?;
                refuse(socket, context.tls.is_some()).await.ok()
            };
            context.turned_away.tell(&peer, full, refusing).await;
        });
    }

    pub(super) fn status(&self) -> String {
        let counts = self.census.watch();
        let counts = counts.borrow();
        let plural = if counts.sessions == 1 { "" } else { "s" };
        let bound = match counts.bound() {
            bound @ 1.. if self.parting.load(Ordering::Relaxed) => format!(" (draining {bound})"),
            bound @ 1.. if self.hands_over() => format!(" ({bound} of them end with a restart)"),
            _ => String::new(),
        };
        let guide = &self.context.guide;
        let target = guide.target().map_or("", |_| "target ");
        let program = self.context.program.as_ref();
        let program = program.map_or(String::new(), |program| format!(", {program}"));
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused
            .as_ref()
            .map_or(String::new(), |why| format!("; not reloaded: {why}"));
        format!(
            "{} session{plural}{bound}, {} served, {target}{guide}{program}, sandbox {}{refused}",
            counts.sessions,
            counts.served,
            self.sandbox.summary()
        )
    }

    /// Goes on with what an earlier process has begun.
    pub(super) fn resume(&self, left: Vec<Left>) {
        if left.is_empty() {
            return;
        }
        // Where nothing is kept any more, what was is taken out all the same.
        let store = self.context.store.clone().or_else(Store::to_empty);
        let resume = |left| session::resume(left, &self.census, &self.context, store.as_ref());
        let found: Vec<bool> = left.into_iter().filter_map(resume).collect();
        let (all, resumed) = (found.len(), found.iter().filter(|it| **it).count());
        log::info!(event = Event::Resumed, sessions = resumed, lost = all - resumed;
            "{resumed} of {all} sessions of the process before go on");
    }

    /// Whether sessions can go on in another process.
    pub(super) fn hands_over(&self) -> bool {
        self.context.store.is_some()
    }

    /// A restart waits for sessions that cannot be handed over, from now on.
    pub(super) fn part(&self) {
        self.parting.store(true, Ordering::Relaxed);
        notify::status(&self.status());
    }

    /// Connections that are here and end with us.
    pub(super) fn ending(&self) -> u32 {
        let counts = self.census.watch();
        let counts = counts.borrow();
        if self.context.drain.has_successor() {
            counts.passing()
        } else {
            counts.connections
        }
    }

    /// Keeps the manager's patience for as long as a restart waits.
    pub(super) async fn keep_patient(&self) {
        let mut second = interval(limits::STATUS_INTERVAL);
        loop {
            second.tick().await;
            notify::extend(limits::STOP_EXTENSION, &self.status());
        }
    }

    /// Remembers how a reload went, and returns the status with it.
    pub(super) fn reloaded(&self, outcome: Result<(), String>) -> String {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
        self.status()
    }

    /// Keeps the manager's status line current, a little behind; it was `told` one already.
    pub(super) async fn report(&self, mut told: String) {
        let mut counts = self.census.watch();
        let mut program = self.context.program.clone();
        loop {
            let now = self.status();
            if now != told {
                if notify::status(&now) {
                    told = now;
                }
                sleep(limits::STATUS_INTERVAL).await;
                continue;
            }
            tokio::select! {
                changed = counts.changed() => if changed.is_err() { return },
                () = changed(program.as_mut()) => {}
            }
        }
    }

    /// Keeps the manager's patience while nobody is accepted any more; `stopping` where it waits for
    /// our end.
    pub(super) async fn linger(&self, stopping: bool) {
        let mut beat = self.pulse.alone();
        let mut second = interval(limits::STATUS_INTERVAL);
        loop {
            tokio::select! {
                () = beat.next() => self.pulse.beat(&mut beat),
                _ = second.tick(), if stopping => {
                    let left = self.ending();
                    notify::extend(limits::STOP_EXTENSION, &format!("closing {left} connections"));
                }
            }
        }
    }
}

async fn changed(program: Option<&mut Program>) {
    match program {
        Some(program) => program.changed().await,
        None => std::future::pending().await,
    }
}
