//! websockify for systemd: a WebSocket-to-TCP bridge.
//!
//! The modules, in the order a byte meets them. [`session`] tells the story of one connection in
//! one function, and is the only module that names two stages: read it first.
//!
//! - [`listener`]: sockets in, bound here or inherited by way of [`systemd`]
//! - [`sandbox`]: what we give up before the first of them
//! - [`server`]: many connections, their limits, and how the program ends
//! - [`proxies`]: who is behind a trusted proxy, in part by the [`proxy_protocol`]
//! - [`sniff`]: whether a client speaks TLS; if so, [`tls`]
//! - [`stream`]: one type for whatever is relayed
//! - [`http`]: a client asks for files, or to become a WebSocket
//! - [`reception`]: whether it gets what it wants, or a [`refusal`]
//! - [`auth`]: who may
//! - [`token`]: where a token leads: a [`route`]
//! - [`helper`]: a program that either of them asks
//! - [`target`]: how to get there
//! - [`relay`]: the two pumps, over [`websocket`]'s frames
//! - [`drain`]: word that the server is ending
//! - [`log`](mod@log): the record that the session leaves
//!
//! Before the first byte: [`cli`] is what was typed, [`config`] what it means, [`error`] what an
//! administrator reads instead; every bound is in [`limits`]. [`demo`] is `--demo`, [`ctl`] is
//! `websockify ctl`, [`meters`] what monitoring reads. [`instance`] is what works around us under
//! systemd.

pub mod auth;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod demo;
pub mod drain;
pub mod error;
pub mod helper;
pub mod http;
pub mod inside;
pub mod instance;
pub mod limits;
pub mod listener;
pub mod log;
pub mod meters;
pub mod network;
pub mod proxies;
pub mod proxy_protocol;
pub mod reception;
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

use std::ffi::OsString;
use std::path::Path;

use cli::Asked;
use config::Config;
use error::Failure;

/// Runs the program whose command line is `arguments`. Returns when it has served, with a text to
/// print if that was all that was asked for.
///
/// # Errors
/// Why nobody was served.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<String>, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.first().is_some_and(is_generator) {
        // Second: the directory for units that win over vendors' and lose against /etc's.
        if let Some(units) = arguments.get(1) {
            instance::generator::generate(Path::new(units));
        }
        return Ok(None);
    }
    if let [_, first, words @ ..] = arguments.as_slice() {
        if first == "ctl" {
            return ctl::run(words.iter().cloned()).map(Some);
        }
    }
    let options = match cli::parse(arguments)? {
        Asked::Print(text) => return Ok(Some(text)),
        Asked::Serve(options) => options,
    };
    log::start(options.verbose);
    for name in &options.unknown_variables {
        // `::log`, the facade: this crate's own `log` is the sink behind it.
        ::log::warn!("{name} is set, but there is no such option");
    }
    if options.libserver {
        ::log::info!("--libserver changes nothing here; it may be left out");
    }
    if let Some(name) = &options.refresh_credentials {
        return instance::refresh::refresh(name).map(|()| None);
    }
    if let Some(name) = &options.check_instance {
        return instance::check::check(name).map(|()| None);
    }
    if options.check_config {
        return server::check(Config::new(*options, Vec::new())?).map(Some);
    }
    // Here, before there are threads.
    let inherited = systemd::inherited::take()?;
    server::run(Config::new(*options, inherited)?)?;
    Ok(None)
}

/// One program, two names: the manager calls generators by theirs.
fn is_generator(program: &OsString) -> bool {
    Path::new(program).file_name() == Some("websockify-generator".as_ref())
}
