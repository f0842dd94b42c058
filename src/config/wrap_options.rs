//! What the options say about a wrapped program.

use super::listen_address;
use crate::cli::Options;
use crate::error::Failure;
use crate::systemd::inherited::Inherited;
use crate::wrap::{self, Mode};

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
    let port = match &options.listen {
        Some(text) => listen_address(text)?.1,
        None => inherited.iter().find_map(Inherited::port).unwrap_or(0),
    };
    if port == 0 {
        return Err(Failure::usage(
            "-- COMMAND: give the port that the program listens on, such as 5901 -- COMMAND",
        ));
    }
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
