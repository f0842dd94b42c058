//! What was read and checked before there were threads, and what serving makes of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::census::Census;
use super::hall::Hall;
use super::monitor::Monitor;
use super::reload::{self, Stamp};
use super::turned_away::TurnedAway;
use crate::auth::Door as AuthDoor;
use crate::config::{Config, Listen, Service};
use crate::demo;
use crate::drain::Drain;
use crate::error::Failure;
use crate::http::Site;
use crate::http::files::Files;
use crate::limits;
use crate::listener::Door;
use crate::open_files;
use crate::proxies::Proxies;
use crate::record::{Destination, Recorder};
use crate::relay::Settings;
use crate::sandbox::{Sandbox, Wanted};
use crate::session::Context;
use crate::systemd::store::{self, Store};
use crate::target::walls::Walls;
use crate::tls::client::{self, Client};
use crate::tls::{self, Tls};
use crate::token::{self, Guide};
use crate::wrap::Program;

/// All that clients are served with.
pub(super) struct Material {
    files: Option<Files>,
    tls: Option<Tls>,
    target_tls: Option<Client>,
    /// Whether the kernel can go on with TLS in the next process; of no interest where it need not.
    kernel_tls: Option<bool>,
    door: AuthDoor,
    record: Option<Destination>,
    /// None for the demo, which brings its own target.
    pub(super) guide: Option<Guide>,
    pub(super) walls: Walls,
    pub(super) control: Option<Door>,
    pub(super) stamp: Stamp,
}

/// Every file that a reload reads again.
pub(super) fn watched(config: &Config) -> Vec<PathBuf> {
    let watched = config.tls.iter().flat_map(tls::Options::files);
    let watched = watched.chain(config.target_tls.iter().flat_map(client::Options::files));
    let watched = watched.chain(config.auth.files());
    watched
        .chain(config.to.iter().flat_map(token::Options::files))
        .collect()
}

impl Material {
    /// Reads it, and returns it with what is left of the configuration.
    pub(super) fn load(
        config: Config,
        watched: Vec<PathBuf>,
    ) -> Result<(Listen, Wanted, Service, Self), Failure> {
        let tls = config.tls.is_some() || config.target_tls.is_some();
        let ask = || tls::kernel::is_there(config.listen.inherited());
        // The demo and a program of our own end with us, and sessions with them.
        let lasts = config.to.is_some() && store::is_there();
        let kernel_tls = (tls && lasts).then(ask);
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

    /// Opens the hall where clients are let in, with the program of our own that they come to, if
    /// there is one.
    pub(super) fn hall(
        self,
        service: Service,
        own: Option<Program>,
        sandbox: Sandbox,
        drain: Drain,
    ) -> Result<Arc<Hall>, Failure> {
        let demo = self.guide.is_none();
        // What ends with us cannot be handed over, and with it what is connected to it.
        let store = if own.is_some() || demo {
            None
        } else {
            find_store()
        };
        if let Some(kernel_tls) = self.kernel_tls.filter(|_| store.is_some()) {
            log::info!("{}", tls::kernel::told(kernel_tls));
        }
        // A session's two sockets, those of the demo's target, its state, and a recording.
        let more = [demo, store.is_some(), self.record.is_some()];
        let each = 2 + more.map(u64::from).iter().sum::<u64>();
        let census = Census::new(
            affordable(service.max_connections, each),
            service.per_address,
            service.run_once,
        );
        let program = own.or_else(|| service.program.clone());
        let context = self.context(service, census.clone(), program, store, drain)?;
        Ok(Hall::new(census, Arc::new(context), sandbox))
    }

    fn context(
        self,
        service: Service,
        census: Arc<Census>,
        program: Option<Program>,
        store: Option<Arc<Store>>,
        drain: Drain,
    ) -> Result<Context, Failure> {
        let tls = self.tls.map(Arc::new);
        let monitor = Monitor::new(census, tls.clone());
        Ok(Context {
            site: Site {
                files: self.files,
                page: self.guide.is_none().then_some(demo::PAGE),
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
            door: self.door,
            guide: match self.guide {
                Some(guide) => guide,
                None => Guide::to(demo::start_target()?),
            },
            target_tls: self.target_tls,
            program,
            ssl_target: service.ssl_target,
            walls: self.walls,
            sources: service.sources,
            announce: service.proxy_protocol,
            settings: Settings {
                heartbeat: service.heartbeat,
                traffic: service.traffic,
            },
            recorder: self.record.map(Recorder::start).transpose()?,
            store,
            drain,
        })
    }
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
