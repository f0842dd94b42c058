//! Many connections: accepting them, their limits, and how the program ends.

pub mod census;
pub mod control;
mod ends;
mod hall;
mod leaving;
pub mod ledger;
pub mod monitor;
mod pulse;
mod reload;
pub mod turned_away;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::auth::Door as AuthDoor;
use crate::config::{Config, Listen, Service};
use crate::daemon::Daemon;
use crate::demo;
use crate::drain::{Drain, drain};
use crate::error::Failure;
use crate::http::Site;
use crate::http::files::Files;
use crate::limits;
use crate::listener::{self, Accepted, Door, Listener};
use crate::log::Event;
use crate::open_files;
use crate::pid_file::PidFile;
use crate::proxies::Proxies;
use crate::record::{Destination, Recorder};
use crate::relay::Settings;
use crate::sandbox::plan::Plan;
use crate::sandbox::{self, Sandbox};
use crate::session::Context;
use crate::systemd::inherited::Left;
use crate::systemd::notify;
use crate::systemd::store::{self, Store};
use crate::target::walls::Walls;
use crate::tls::client::{self, Client};
use crate::tls::{self, Tls};
use crate::token::{self, Guide};
use crate::wrap::{self, Program, Supervised};
use census::Census;
use ends::{Signals, Why, after, begun, empty, ended, idle, parted};
use hall::Hall;
use monitor::Monitor;
use reload::Stamp;
use turned_away::TurnedAway;

const IDLE: &str = "--idle-timeout";

/// How a process ends whose sessions go on in the next: `EX_TEMPFAIL` of sysexits(3head). Our units
/// take it for a success, and for a reason to start again.
const HANDED_OVER: u8 = 75;

/// What was read and checked before there were threads.
struct Material {
    files: Option<Files>,
    tls: Option<Tls>,
    target_tls: Option<Client>,
    /// Whether the kernel can go on with TLS in the next process; of no interest where it need not.
    kernel_tls: Option<bool>,
    door: AuthDoor,
    record: Option<Destination>,
    /// None for the demo, which brings its own target.
    guide: Option<Guide>,
    walls: Walls,
    control: Option<Door>,
    stamp: Stamp,
}

/// Opens everything that the configuration names, then serves until told to end; `left` are the
/// sessions that an earlier run has begun.
///
/// # Errors
/// [`Failure::Start`]; after READY=1 nothing is an error any more. Otherwise, the exit status.
pub fn run(mut config: Config, left: Vec<Left>, daemon: Option<Daemon>) -> Result<u8, Failure> {
    sandbox::hide(config.sandbox);
    let watched = watched(&config);
    let mut plan = Plan::new(&config, &watched);
    let allowed = config.to.as_ref().map(token::Options::allowed);
    let control = config.control.clone();
    let (wrap, pid_file) = (config.wrap.take(), config.pid_file.take());
    let (listen, wanted, service, mut material) = Material::load(config, watched)?;
    let doors = listener::open(listen)?;
    let listen = control.map(|path| Listen::Unix { path, mode: 0o600 });
    let mut control = listen.map(listener::open).transpose()?.unwrap_or_default();
    let own = doors.iter().chain(&control).filter_map(Door::own).collect();
    material.control = control.pop();
    material.walls = Walls::new(allowed.unwrap_or_default(), own);
    let _pid_file = pid_file.as_deref().map(PidFile::write).transpose()?;
    // Before there are threads, and before a sandbox: the program is not to live in ours.
    let supervised = wrap.map(wrap::start).transpose()?;
    if let Some(supervised) = &supervised {
        let target = supervised.target();
        plan.reach_program(&target);
        material.guide = Some(Guide::to(target));
    }
    let sandbox = sandbox::enter(wanted, &plan)?;
    crate::log::deliver();
    let no_runtime = |error| Failure::start(format!("cannot start: {error}"));
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .event_interval(limits::EVENT_INTERVAL)
        .build()
        .map_err(no_runtime)?;
    let serving = serve(
        service,
        (doors, left),
        material,
        (supervised, sandbox),
        daemon,
    );
    let served = runtime.block_on(serving);
    // A name look-up may still hold a thread; nobody waits for its answer.
    runtime.shutdown_background();
    served
}

/// Judges all that [`run`] would before it opens a door. Returns a sentence for who asked.
///
/// # Errors
/// Those of [`run`], and a target that is our own port.
pub fn check(config: Config) -> Result<String, Failure> {
    let watched = watched(&config);
    let plan = Plan::new(&config, &watched);
    let target = config.to.as_ref().and_then(token::Options::target).cloned();
    let (listen, wanted, ..) = Material::load(config, watched)?;
    let mut good = "the configuration is good".to_owned();
    if let Some(target) = target {
        if listener::is_ours(&listen, &target) {
            return Err(Failure::start(format!(
                "the target {target} is where we listen ourselves: clients would reach us again; \
                 listen on another port or on one address only"
            )));
        }
        good += &format!(": {listen} to {target}");
    }
    // For real: nothing comes behind it.
    sandbox::enter(wanted, &plan)?;
    Ok(good + "\n")
}

/// Every file that a reload reads again.
fn watched(config: &Config) -> Vec<PathBuf> {
    let watched = config.tls.iter().flat_map(tls::Options::files);
    let watched = watched.chain(config.target_tls.iter().flat_map(client::Options::files));
    let watched = watched.chain(config.auth.files());
    watched
        .chain(config.to.iter().flat_map(token::Options::files))
        .collect()
}

impl Material {
    /// Reads it, and returns it with what is left of the configuration.
    fn load(
        config: Config,
        watched: Vec<PathBuf>,
    ) -> Result<(Listen, sandbox::Wanted, Service, Self), Failure> {
        let tls = config.tls.is_some() || config.target_tls.is_some();
        let kernel_tls =
            (tls && store::is_there()).then(|| tls::kernel::is_there(config.listen.inherited()));
        let kernel = kernel_tls.unwrap_or_default();
        let tls = config.tls.map(|it| Tls::load(it, kernel));
        let target_tls = config.target_tls.map(|it| Client::load(it, kernel));
        let material = Self {
            // Before they are read: what changes from now on is noticed.
            stamp: reload::stamp(watched.into_iter()),
            files: config.web.as_ref().map(Files::open).transpose()?,
            tls: tls.transpose()?,
            target_tls: target_tls.transpose()?,
            kernel_tls,
            door: AuthDoor::load(config.auth)?,
            record: config.record.as_deref().map(Destination::new).transpose()?,
            guide: config.to.map(Guide::load).transpose()?,
            walls: Walls::default(),
            control: None,
        };
        Ok((config.listen, config.sandbox, config.service, material))
    }
}

async fn serve(
    service: Service,
    (doors, left): (Vec<Door>, Vec<Left>),
    mut material: Material,
    (supervised, sandbox): (Option<Supervised>, Sandbox),
    daemon: Option<Daemon>,
) -> Result<u8, Failure> {
    let cannot = |what: &'static str| move |error| Failure::start(format!("{what}: {error}"));
    let mut signals = Signals::new().map_err(cannot("cannot watch for signals"))?;
    let hangup = signal(SignalKind::hangup()).map_err(cannot("cannot watch for signals"))?;
    let (drainer, drain) = drain();
    // What ends with us cannot be handed over, and with it what is connected to it.
    let own_target = supervised.is_some() || material.guide.is_none();
    let store = if own_target { None } else { find_store() };
    // A session's two sockets, those of the demo's target, its state, and a recording.
    let more = [
        material.guide.is_none(),
        store.is_some(),
        material.record.is_some(),
    ];
    let each = 2 + more.map(u64::from).iter().sum::<u64>();
    let census = Census::new(
        affordable(service.max_connections, each),
        service.per_address,
        service.run_once,
    );
    let stamp = std::mem::take(&mut material.stamp);
    let (timeouts, once) = ((service.timeout, service.idle_timeout), service.run_once);
    let patience = service.drain_timeout;
    if let Some(kernel_tls) = material.kernel_tls.filter(|_| store.is_some()) {
        log::info!("{}", tls::kernel::told(kernel_tls));
    }
    let control = material.control.take();
    let entered = supervised.map(Supervised::enter).transpose();
    let (program, keeper) = entered.map_err(cannot("cannot wrap a program"))?.unzip();
    let program = program.or_else(|| service.program.clone());
    let context = context(
        service,
        material,
        drain.clone(),
        census.clone(),
        program.clone(),
        store,
    )?;
    let hall = Hall::new(census, Arc::new(context), sandbox);
    let control = match control {
        Some(Door::Listening(socket, bound)) => {
            Some(Listener::new(socket, bound).map_err(cannot("cannot listen"))?)
        }
        _ => None,
    };
    let starting = async {
        hall.context.door.start().await?;
        hall.context.guide.start().await
    };
    tokio::select! {
        started = starting => started?,
        _ = signals.next() => return Ok(0),
    }
    hall.resume(left);
    let kept = keeper.map(|keeper| keeper.begin(drain));
    let mut listeners = Vec::new();
    for door in doors {
        match door {
            Door::Listening(socket, bound) => {
                let listener = Listener::new(socket, bound).map_err(cannot("cannot listen"))?;
                log::info!("listening on {listener}");
                listeners.push(Arc::new(listener));
            }
            Door::Connected(socket) => {
                let accepted = Accepted::new(socket).map_err(cannot("--inetd"))?;
                hall.admit(accepted);
            }
        }
    }
    let target = hall.context.guide.to_string();
    log::info!(event = Event::Ready, target; "bridging to {target}");
    log::info!(event = Event::Sandbox, sandbox = sandbox.summary(); "{sandbox}");

    let mut counts = hall.census.watch();
    let only_one = listeners.is_empty();
    let mut time_is_up = pin!(after(timeouts.0));
    let served = Notify::new();
    let report = async {
        if let Some(program) = &program {
            notify::status(&hall.status());
            program.settled().await;
        }
        let status = hall.status();
        notify::ready(&status);
        served.notify_one();
        if let Err(failure) = daemon.map_or(Ok(()), Daemon::ready) {
            // Who started it has left, so nobody wants it.
            return log::error!("{failure}");
        }
        hall.report(status).await;
    };
    let reload = async {
        // It ends in READY=1 as well, which is not to come before the first; SIGHUP waits meanwhile.
        served.notified().await;
        reload::keep(hall.context.clone(), hangup, stamp, |outcome| {
            hall.reloaded(outcome)
        })
        .await;
    };
    let mut upkeep = pin!(async {
        tokio::select! {
            () = report => {}
            () = hall.context.guide.keep() => {}
            () = control::keep(hall.clone(), control) => {}
            () = reload => {}
        }
    });
    let mut lost = pin!(async {
        tokio::select! {
            () = hall.context.door.lost() => {}
            () = hall.context.guide.lost() => {}
        }
    });
    // While we wait for sessions that end with us, and serve: until when.
    let mut parting = None;
    let why = loop {
        let mut doorkeepers = JoinSet::new();
        for (listener, beat) in listeners.iter().zip(hall.pulse.of(listeners.len())) {
            doorkeepers.spawn(hall.clone().keep(listener.clone(), beat));
        }
        let why = tokio::select! {
            () = &mut time_is_up => Why::Option("--timeout"),
            () = idle(timeouts.1, counts.clone()) => Why::Option(IDLE),
            () = begun(once, counts.clone()) => Why::Option("--run-once"),
            () = empty(only_one, counts.clone()) => Why::Option("--inetd"),
            status = ended(program.as_ref()) => Why::Program(status),
            () = &mut lost => Why::Lost,
            () = hall.linger(false), if only_one => Why::Told,
            told = signals.next() => told,
            () = parted(parting, counts.clone()) => Why::Restart,
            () = hall.keep_patient(), if parting.is_some() => Why::Told,
            () = &mut upkeep => Why::Told,
        };
        // First nobody new, then the farewell: who comes now finds the next server, or none.
        doorkeepers.shutdown().await;
        match why {
            // Whoever came in the moment of an idle exit is served as if it had not been.
            Why::Option(IDLE) if counts.borrow().connections > 0 => {}
            Why::Restart if parting.is_none() && hall.hands_over() => {
                parting = Some(Instant::now() + patience);
                hall.part();
            }
            why => break why,
        }
    };
    drop(listeners);
    let mut status = 0;
    match why {
        Why::Option(option) => {
            hall.census.close();
            log::info!(event = Event::Ending, option; "ending by {option}");
            tokio::select! {
                _ = counts.wait_for(|counts| counts.sessions == 0) => {}
                _ = signals.next() => {}
                () = &mut upkeep => {}
                () = hall.linger(false) => {}
            }
        }
        // Who ends a service tells all of its processes in the same moment: then it is no failure
        // that the program ended by that.
        Why::Program(ended) => {
            let told = ended > 128 && timeout(limits::TOLD_TOO, signals.next()).await.is_ok();
            status = if told { 0 } else { ended };
        }
        why @ (Why::Restart | Why::Lost) if hall.hands_over() => {
            if leaving::hand_over(&hall, &drainer, &mut signals).await {
                let failed = matches!(why, Why::Lost);
                return Ok(if failed { 1 } else { HANDED_OVER });
            }
        }
        Why::Lost => status = 1,
        Why::Told | Why::Restart => {}
    }
    leaving::end(&hall, &drainer, &mut signals, kept).await;
    Ok(status)
}

fn context(
    service: Service,
    material: Material,
    drain: Drain,
    census: Arc<Census>,
    program: Option<Program>,
    store: Option<Arc<Store>>,
) -> Result<Context, Failure> {
    let tls = material.tls.map(Arc::new);
    let monitor = Monitor::new(census, tls.clone());
    Ok(Context {
        site: Site {
            files: material.files,
            page: material.guide.is_none().then_some(demo::PAGE),
            tls_only: tls.as_deref().is_some_and(Tls::only),
            certificates: tls.as_deref().is_some_and(Tls::verifies),
            frames: service.frames,
            health_path: service.health_path,
            metrics_path: service.metrics_path,
            subprotocols: service.subprotocols,
            legacy_protocols: service.legacy_protocols,
        },
        proxies: Proxies::new(service.proxies),
        turned_away: TurnedAway::new(monitor.meters.clone()),
        monitor,
        tls,
        door: material.door,
        guide: match material.guide {
            Some(guide) => guide,
            None => Guide::to(demo::start_target()?),
        },
        target_tls: material.target_tls,
        program,
        ssl_target: service.ssl_target,
        walls: material.walls,
        announce: service.proxy_protocol,
        settings: Settings {
            heartbeat: service.heartbeat,
            traffic: service.traffic,
        },
        recorder: material.record.map(Recorder::start).transpose()?,
        store,
        drain,
    })
}

/// Where sessions are kept for our successor, if anywhere.
fn find_store() -> Option<Arc<Store>> {
    let found = Store::find();
    found.unwrap_or_else(|error| {
        log::warn!("sessions will end with this process: no way to the service manager: {error}");
        None
    })
}

/// How many connections to admit, where a session takes so many open files `each`: the limit on
/// those has a word in it.
fn affordable(asked: Option<u32>, each: u64) -> u32 {
    let wanted = asked.unwrap_or(limits::CONNECTIONS);
    let files = open_files::raise();
    let kept_back = limits::RESERVED_DESCRIPTORS + u64::from(limits::REFUSALS_AT_ONCE);
    let room = files.saturating_sub(kept_back) / each;
    let room = u32::try_from(room).unwrap_or(u32::MAX).max(1);
    if room < wanted && asked.is_some() {
        log::warn!(
            "--max-connections={wanted}: the limit of {files} open files has room for {room}; \
             raise LimitNOFILE="
        );
    }
    wanted.min(room)
}
