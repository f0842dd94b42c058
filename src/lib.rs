//! websockify for systemd: a WebSocket-to-TCP bridge.
//!
//! The modules, in the order a byte meets them. [`session`] tells the story of one connection in
//! one function, and is the only module that names two stages: read it first.
//!
//! - [`listener`]: sockets in, bound here or inherited by way of [`systemd`]
//! - [`sandbox`]: what we give up before the first of them
//! - [`server`]: many connections, their limits, and how the program ends
//! - [`proxies`]: who is behind a trusted proxy, in part by the [`proxy_protocol`]
//! - [`sniff`]: whether a client speaks TLS; if so, [`tls`]; a Flash player has a word first: [`flash`]
//! - [`stream`]: one type for whatever is relayed
//! - [`http`]: a client asks for files, or to become a WebSocket
//! - [`reception`]: whether it gets what it wants, or a [`refusal`]
//! - [`auth`]: who may
//! - [`token`]: where a token leads: a [`route`]
//! - [`helper`]: a program that either of them asks
//! - [`target`]: how to get there
//! - [`relay`]: the two pumps, over [`websocket`]'s frames
//! - [`record`]: a copy of what went through them, if asked for
//! - [`handover`]: what the next process needs to go on with a session
//! - [`drain`]: word that the server is ending
//! - [`log`](mod@log): the record that the session leaves
//! - [`wrap`]: a program of its own behind it all
//!
//! Before the first byte: [`cli`] is what was typed, [`config`] what it means, [`error`] what an
//! administrator reads instead; every bound is in [`limits`]. [`daemon`] is `--daemon`,
//! [`pid_file`] is `--pid-file`, [`demo`] is `--demo`, [`ctl`] is `websockify ctl`, [`meters`] what
//! monitoring reads. [`open_files`] is a limit that is ours and no child's, [`environment`] what of it no
//! child gets. [`instance`] is what works
//! around us under systemd, [`beside`] how a process of ours starts programs from outside of the sandbox.

pub mod auth;
pub mod beside;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod demo;
pub mod drain;
pub mod environment;
pub mod error;
pub mod executable;
pub mod flash;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod handover;
pub mod helper;
pub mod http;
pub mod inside;
pub mod instance;
pub mod limits;
pub mod listener;
pub mod log;
pub mod meters;
pub mod network;
pub mod open_files;
pub mod pid_file;
pub mod proxies;
pub mod proxy_protocol;
pub mod reception;
pub mod record;
pub mod refusal;
pub mod relay;
pub mod route;
pub mod sandbox;
pub mod server;
pub mod session;
pub mod slow;
pub mod sniff;
pub mod stream;
pub mod systemd;
pub mod target;
pub mod tls;
pub mod token;
pub mod watch;
pub mod websocket;
pub mod wrap;

use std::ffi::OsString;
use std::path::Path;

use cli::{Asked, Options};
use config::Config;
use daemon::{Daemon, Role};
use error::Failure;

/// What came of a run.
#[derive(Debug)]
pub enum Done {
    /// This text is to be printed: it was all that was asked for.
    Text(String),
    /// It has served; the exit status is 0, or that of a wrapped program.
    Served(u8),
}

/// Runs the program whose command line is `arguments`. Returns when it has served.
///
/// # Errors
/// Why nobody was served.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Done, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let [_, first, words @ ..] = arguments.as_slice() {
        if first == "ctl" {
            return ctl::run(words.iter().cloned()).map(Done::Text);
        }
        if first == wrap::supervisor::WORD {
            return wrap::supervisor::run(words).map(|()| Done::Served(0));
        }
        if first == instance::access::WORD {
            return Ok(Done::Text(instance::access::refused(words)));
        }
        // The instance's options are in the environment, to be judged and not obeyed.
        if first == instance::reload::WORD {
            let name = words.first().map(|name| name.to_string_lossy());
            return instance::reload::prepare(&name.unwrap_or_default()).map(|()| Done::Served(0));
        }
        if first == helper::starter::WORD {
            return helper::starter::run(words).map(|()| Done::Served(0));
        }
        if first == instance::generator::WORD {
            // First: the directory for units that win over vendors' and lose against /etc's.
            if let Some(units) = words.first() {
                instance::generator::generate(Path::new(units));
            }
            return Ok(Done::Served(0));
        }
    }
    let options = match cli::parse(arguments.iter().cloned())? {
        Asked::Print(text) => return Ok(Done::Text(text)),
        Asked::Serve(options) => options,
    };
    let asks = options.check_config
        || options.check_instance.is_some()
        || options.refresh_credentials.is_some();
    let daemon = match (options.daemon && !asks).then(Role::find) {
        None => None,
        Some(Role::Daemon(daemon)) => Some(daemon),
        Some(Role::Between) => return daemon::leave_session(&arguments).map(|()| Done::Served(0)),
        Some(Role::Starter) => {
            // What is wrong with the options is told here, by an exit status of its own.
            log::Options::new(&options)?;
            Config::new(*options, systemd::inherited::take()?.listening)?;
            return daemon::start(&arguments).map(|()| Done::Served(0));
        }
    };
    let log = log::Options::new(&options)?;
    log::start(if asks { log.judged()? } else { log })?;
    let served = serve(*options, daemon);
    log::end(served.as_ref().err());
    served
}

fn serve(options: Options, daemon: Option<Daemon>) -> Result<Done, Failure> {
    for name in &options.unknown_variables {
        // `::log`, the facade: this crate's own `log` is the sink behind it.
        ::log::warn!("{name} is set, but there is no such option");
    }
    if options.libserver {
        ::log::info!("--libserver changes nothing here; it may be left out");
    }
    if let Some(name) = &options.refresh_credentials {
        return instance::refresh::refresh(name).map(|()| Done::Served(0));
    }
    if let Some(name) = &options.check_instance {
        return instance::check::check(name).map(|()| Done::Served(0));
    }
    if options.check_config {
        return server::check(Config::new(options, Vec::new())?).map(Done::Text);
    }
    // Here, before there are threads.
    let passed = systemd::inherited::take()?;
    let config = Config::new(options, passed.listening)?;
    server::run(config, passed.left, daemon).map(Done::Served)
}
