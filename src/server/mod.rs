//! Many connections: accepting them, their limits, and how the program ends.

pub mod census;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::config::{Config, Service};
use crate::demo;
use crate::drain::drain;
use crate::error::Failure;
use crate::http::Site;
use crate::http::files::Files;
use crate::limits;
use crate::listener::{self, Accepted, Door, Listener};
use crate::log::Throttle;
use crate::relay::Settings;
use crate::session::{self, Context};
use crate::stream::Stream;
use crate::systemd::notify;
use census::{Census, Counts, Full};

/// Opens everything that the configuration names, then serves until told to end.
///
/// # Errors
/// [`Failure::Start`]; after READY=1 nothing is an error any more.
pub fn run(config: Config) -> Result<(), Failure> {
    let files = config.web.as_ref().map(Files::open).transpose()?;
    let doors = listener::open(config.listen)?;
    let no_runtime = |error| Failure::start(format!("cannot start: {error}"));
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(no_runtime)?;
    let served = runtime.block_on(serve(config.service, doors, files));
    // A name look-up may still hold a thread; nobody waits for its answer.
    runtime.shutdown_background();
    served
}

async fn serve(service: Service, doors: Vec<Door>, files: Option<Files>) -> Result<(), Failure> {
    let cannot = |what: &'static str| move |error| Failure::start(format!("{what}: {error}"));
    let mut signals = Signals::new().map_err(cannot("cannot watch for signals"))?;
    let page = service.target.is_none().then_some(demo::PAGE);
    let target = match service.target {
        Some(target) => target,
        None => demo::start_target()?,
    };
    let (drainer, drain) = drain();
    let census = Census::new(
        affordable(service.max_connections),
        service.per_address,
        service.run_once,
    );
    let context = Arc::new(Context {
        site: Site {
            files,
            page,
            health_path: service.health_path,
            subprotocols: service.subprotocols,
        },
        target,
        settings: Settings {
            heartbeat: service.heartbeat,
            traffic: service.traffic,
        },
        drain,
    });
    let hall = Arc::new(Hall {
        census,
        context,
        turned_away: Throttle::default(),
        refusing: AtomicU32::new(0),
    });
    let mut doorkeepers = JoinSet::new();
    for door in doors {
        match door {
            Door::Listening(socket, bound) => {
                let listener = Listener::new(socket, bound).map_err(cannot("cannot listen"))?;
                log::info!("listening on {listener}");
                doorkeepers.spawn(hall.clone().keep(listener));
            }
            Door::Connected(socket) => {
                let accepted = Accepted::new(socket).map_err(cannot("--inetd"))?;
                hall.admit(accepted);
            }
        }
    }
    log::info!("bridging to {}", hall.context.target);
    let status = hall.status();
    notify::ready(&status);

    let mut counts = hall.census.watch();
    let only_one = doorkeepers.is_empty();
    let ends = async {
        tokio::select! {
            () = after(service.timeout) => "--timeout",
            () = idle(service.idle_timeout, counts.clone()) => "--idle-timeout",
            () = begun(service.run_once, counts.clone()) => "--run-once",
            () = empty(only_one, counts.clone()) => "--inetd",
        }
    };
    let why = tokio::select! {
        why = ends => Some(why),
        () = signals.next() => None,
        () = hall.report(status) => None,
    };
    // First nobody new, then the farewell: who comes now finds the next server, or none.
    doorkeepers.shutdown().await;
    if let Some(option) = why {
        log::info!("ending by {option}");
        tokio::select! {
            _ = counts.wait_for(|counts| counts.sessions == 0) => {}
            () = signals.next() => {}
        }
    }
    notify::stopping("closing sessions");
    drainer.tell();
    tokio::select! {
        left = timeout(limits::DRAIN_TIME, counts.wait_for(|counts| counts.connections == 0)) => {
            if left.is_err() {
                log::warn!("ending with {} connections left", hall.census.watch().borrow().connections);
            }
        }
        () = signals.next() => log::warn!("told twice: ending at once"),
    }
    Ok(())
}

/// Where accepted clients are let in or turned away.
struct Hall {
    census: Arc<Census>,
    context: Arc<Context>,
    turned_away: Throttle,
    refusing: AtomicU32,
}

impl Hall {
    /// Accepts for as long as it is polled. Nothing that accept(2) says ends it.
    async fn keep(self: Arc<Self>, listener: Listener) {
        let failures = Throttle::default();
        loop {
            match listener.accept().await {
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

    fn admit(self: &Arc<Self>, accepted: Accepted) {
        match self.census.enter(accepted.peer.ip()) {
            Ok(seat) => {
                tokio::spawn(session::run(accepted, seat, self.context.clone()));
            }
            Err(full) => self.turn_away(accepted, full),
        }
    }

    fn turn_away(self: &Arc<Self>, accepted: Accepted, full: Full) {
        if let Some(more) = self.turned_away.pass() {
            let option = match full {
                Full::Server => "--max-connections",
                Full::Address => "--max-connections-per-address",
            };
            log::warn!("turned away client={} by {option}{more}", accepted.peer);
        }
        if self.refusing.fetch_add(1, Ordering::Relaxed) < limits::REFUSALS_AT_ONCE {
            let hall = self.clone();
            tokio::spawn(async move {
                let _ = timeout(limits::REFUSAL_TIME, refuse(accepted.stream)).await;
                hall.refusing.fetch_sub(1, Ordering::Relaxed);
            });
        } else {
            self.refusing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn status(&self) -> String {
        let counts = self.census.watch();
        let counts = counts.borrow();
        let plural = if counts.sessions == 1 { "" } else { "s" };
        format!(
            "{} session{plural}, {} served, target {}",
            counts.sessions, counts.served, self.context.target
        )
    }

    /// Keeps the manager's status line current, a little behind; it was `told` one already.
    async fn report(&self, mut told: String) {
        let mut counts = self.census.watch();
        loop {
            let now = self.status();
            if now != told {
                notify::status(&now);
                told = now;
                sleep(limits::STATUS_INTERVAL).await;
            } else if counts.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Says 503 and reads what the client has sent, so that closing does not take the answer back.
async fn refuse(mut stream: Stream) -> std::io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: websockify\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\nRetry-After: 10\r\n\
        Connection: close\r\n\r\nToo many connections\n";
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// How many connections to admit. The limit on open files has a word in it: a session takes two.
fn affordable(asked: Option<u32>) -> u32 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = asked.unwrap_or(limits::CONNECTIONS);
    let mut limit = getrlimit(Resource::Nofile);
    // The soft limit is for programs that use select(2).
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        limit = raised;
    }
    let files = limit.current.unwrap_or(u64::MAX);
    let room = files.saturating_sub(limits::RESERVED_DESCRIPTORS) / 2;
    let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
    if room < wanted && asked.is_some() {
        log::warn!(
            "--max-connections={wanted}: the limit of {files} open files has room for {room}; \
             raise LimitNOFILE="
        );
    }
    wanted.min(room)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

type Watch = watch::Receiver<Counts>;

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Returns when nobody has been here for `time`.
async fn idle(time: Option<Duration>, mut counts: Watch) {
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
            () = sleep_until(deadline) => return,
            _ = counts.wait_for(|counts| counts.connections > 0) => {}
        }
    }
}

/// Returns when the one session has begun.
async fn begun(once: bool, mut counts: Watch) {
    if !once {
        std::future::pending::<()>().await;
    }
    let _ = counts.wait_for(|counts| counts.served > 0).await;
}

/// Returns when the one connection is over.
async fn empty(only_one: bool, mut counts: Watch) {
    if !only_one {
        std::future::pending::<()>().await;
    }
    let _ = counts.wait_for(|counts| counts.connections == 0).await;
}

impl fmt::Debug for Hall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hall").finish_non_exhaustive()
    }
}
