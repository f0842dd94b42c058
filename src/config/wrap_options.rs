//! What the options say about a wrapped program.

use super::listen_address;
use crate::cli::Options;
use crate::error::Failure;
use crate::systemd::inherited::Inherited;
use crate::target::Target;
use crate::token;
use crate::wrap::{self, Mode, elsewhere};

/// Judges the command behind `--` and what belongs to it; `None` without one.
pub(super) fn wrap_options(
    options: &Options,
    inherited: &[Inherited],
) -> Result<Option<wrap::Options>, Failure> {
    let Some(program) = options.command.first() else {
        return Ok(None);
    };
    if program.is_empty() {
        return Err(Failure::usage("-- '': the name of the program is empty"));
    }
    let typed = options.typed;
    if typed.unix_target || typed.tokens || typed.demo {
        return Err(Failure::usage(
            "-- COMMAND, --unix-target, --token-plugin and --demo exclude each other: each says \
             where to",
        ));
    }
    if typed.target {
        return Err(Failure::usage(
            "Too many arguments: the target is the program behind --",
        ));
    }
    let port = wanted_port(options, inherited)?.ok_or_else(|| {
        Failure::usage(
            "-- COMMAND: give the port that the program listens on, such as 5901 -- COMMAND",
        )
    })?;
    Ok(Some(wrap::Options {
        command: options.command.clone(),
        port,
        mode: match options.wrap_mode.as_str() {
            "ignore" => Mode::Ignore,
            "respawn" => Mode::Respawn,
            _ => Mode::Exit,
        },
        user: options.wrap_user.clone(),
    }))
}

/// The port that a wrapped program asks for: the one that we listen on in its place, whether we open
/// it ourselves or not.
pub(super) fn wanted_port(
    options: &Options,
    inherited: &[Inherited],
) -> Result<Option<u16>, Failure> {
    let port = match &options.listen {
        Some(text) => Some(listen_address(text)?.1),
        None => inherited.iter().find_map(Inherited::port),
    };
    Ok(port.filter(|port| *port > 0))
}

/// Where a program is reached that the service manager keeps: where `to` says that it listens, or
/// else where its port is moved.
pub(super) fn kept_elsewhere(
    options: &Options,
    wanted: Option<u16>,
    to: Option<token::Options>,
) -> Result<token::Options, Failure> {
    match to {
        Some(to @ token::Options::Target(_)) => Ok(to),
        None if !options.demo => match wanted {
            Some(port) => Ok(token::Options::Target(Target::Loopback(elsewhere::moved(
                port,
            )))),
            None => Err(Failure::usage(
                "WEBSOCKIFY_WRAP: on no port of our own there is none to move: say where the \
                 program listens, by WEBSOCKIFY_TARGET or WEBSOCKIFY_UNIX_TARGET",
            )),
        },
        _ => Err(Failure::usage(
            "WEBSOCKIFY_WRAP, tokens and WEBSOCKIFY_DEMO exclude each other: each says where to",
        )),
    }
}
