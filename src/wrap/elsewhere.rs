//! A program that the service manager keeps for us, in a unit of its own
//! (`websockify-program@.service`): an instance's file names it in [`VARIABLE`]. What is done with it
//! there is the unit's; here is what both sides have to agree on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::user::User;
use super::{Mode, Program, State, launch, program};
use crate::error::Failure;
use crate::log::escape::Escaped;

/// The variable with the program and its arguments, quoted as for a shell.
pub const VARIABLE: &str = "WEBSOCKIFY_WRAP";

/// The first port that the kernel does not give to outgoing connections (`ip_local_port_range`, unless
/// somebody has changed that), and how many there are.
const MOVED: (u16, u16) = (61_000, 4_536);

/// Where the port of such a program is moved: always to the same place, because the two units start
/// at different times, and neither outlives the other.
#[must_use]
pub const fn moved(port: u16) -> u16 {
    MOVED.0 + port % MOVED.1
}

/// The program and its arguments.
///
/// # Errors
/// One sentence.
pub fn words(command: &str) -> Result<Vec<String>, Failure> {
    let words = shell_words::split(command)
        .map_err(|error| Failure::start(format!("{VARIABLE}: {error}")))?;
    // What else a unit takes for a word about the program, and not for its name (systemd.service(5)).
    let is_name = |name: &String| {
        let first = name.bytes().next();
        first.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"/._".contains(&byte))
            && (name.starts_with('/') || !name.contains('/'))
    };
    match words.first() {
        None => Err(Failure::start(format!("{VARIABLE} names no program"))),
        Some(name) if !is_name(name) => Err(Failure::start(format!(
            "{VARIABLE}: '{name}' is neither a program's name nor its full path"
        ))),
        Some(_) if command.bytes().any(|byte| byte.is_ascii_control()) => Err(Failure::start(
            format!("{VARIABLE} has a control character in it: a script can have those"),
        )),
        Some(_) => Ok(words),
    }
}

/// Judges the program for a user, and whether its port can be moved where that is to be done.
///
/// # Errors
/// One sentence.
pub fn judge(name: &str, user: &str, moves: bool) -> Result<(), Failure> {
    let user = User::look_up(user)?;
    if !moves {
        return program::find(OsStr::new(name)).map(|_| ());
    }
    library()?;
    program::judge(OsStr::new(name), user.uid, user.gid)
}

/// What is preloaded to move a port, and by which variables.
///
/// # Errors
/// It is not there.
pub fn library() -> Result<PathBuf, Failure> {
    launch::library()
}

/// The variables of the library.
#[must_use]
pub fn variables() -> [String; 2] {
    use super::contract::{NEW_PORT, OLD_PORT};
    [OLD_PORT, NEW_PORT].map(|name| name.to_string_lossy().into_owned())
}

/// What sessions see of it: it may start at any time, so they are patient.
#[must_use]
pub fn program(command: &str) -> Program {
    let name = words(command)
        .ok()
        .and_then(|words| words.into_iter().next());
    let name = name.unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default();
    Program {
        name: Escaped(&name.to_string_lossy()).to_string(),
        mode: Mode::Ignore,
        state: watch::channel(State::Elsewhere).1,
    }
}

#[cfg(test)]
mod tests {
    use super::{moved, words};

    #[test]
    fn a_port_is_moved_out_of_the_way() {
        for port in [1, 23, 5901, 35901, 61_000, 65_535] {
            assert!(moved(port) >= 61_000, "{port}");
        }
        assert_ne!(moved(5900), moved(5901));
    }

    #[test]
    fn only_what_a_unit_takes_for_a_program() {
        let of = |text: &str| words(text).map_err(|failure| failure.to_string());
        assert_eq!(
            of("vncserver -name 'a b' :1").unwrap(),
            ["vncserver", "-name", "a b", ":1"]
        );
        for (text, says) in [
            ("", "names no program"),
            ("'a", "WEBSOCKIFY_WRAP: "),
            ("''", "neither"),
            ("-vncserver", "neither"),
            ("+/bin/sh", "neither"),
            ("bin/sh", "neither"),
            ("sh -c 'a\nb'", "control character"),
        ] {
            assert!(of(text).unwrap_err().contains(says), "{text}");
        }
    }
}
