//! Many connections: accepting them, their limits, and how the program ends.

pub mod census;
pub mod control;
mod ends;
mod hall;
mod leaving;
pub mod ledger;
mod material;
mod memory;
pub mod monitor;
mod pulse;
mod reload;
mod serving;
pub mod turned_away;

use tokio::runtime::Builder;

use crate::config::{Config, Listen};
use crate::daemon::Daemon;
use crate::error::Failure;
use crate::limits;
use crate::listener::{self, Door};
use crate::pid_file::PidFile;
use crate::sandbox;
use crate::sandbox::plan::Plan;
use crate::systemd::inherited::Left;
use crate::target::walls::Walls;
use crate::token::{self, Guide};
use crate::wrap;
use material::{Material, watched};

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
    match service.sources.are_here() {
        // They wait for us, and need no address.
        Err(failure) if !left.is_empty() => log::warn!("{failure}"),
        judged => judged?,
    }
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
        .max_blocking_threads(limits::blocking_threads())
        .thread_keep_alive(limits::THREAD_REST)
        .build()
        .map_err(no_runtime)?;
    // The first, while there is one to be had.
    runtime.spawn_blocking(|| ());
    let serving = serving::serve(
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
    let (listen, wanted, service, _) = Material::load(config, watched)?;
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
    // When an instance is checked, at boot, the address may come up later than its socket.
    if let Err(failure) = service.sources.are_here() {
        log::warn!("{failure}");
    }
    // For real: nothing comes behind it.
    sandbox::enter(wanted, &plan)?;
    Ok(good + "\n")
}
