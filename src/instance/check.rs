//! `--check-instance`: whether a client would be served, asked before the socket listens and
//! before a reload.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::MemfdFlags;

use super::listening::Listening;
use super::{FOLDER, HANDED_OVER, Instance, can_be_named, refresh};
use crate::error::Failure;
use crate::systemd::credentials;
use crate::tls::certificate::in_directory;
use crate::wrap::elsewhere;

/// The variables whose meaning the socket unit has taken.
const LISTENING: &[&str] = &["WEBSOCKIFY_LISTEN", "WEBSOCKIFY_UNIX_LISTEN"];

/// What says where sessions go.
const TARGETS: &[&str] = &[
    "WEBSOCKIFY_TARGET",
    "WEBSOCKIFY_UNIX_TARGET",
    "WEBSOCKIFY_TOKEN_PLUGIN",
    "WEBSOCKIFY_TARGET_CONFIG",
    "WEBSOCKIFY_DEMO",
    elsewhere::VARIABLE,
];

/// Judges what can be wrong with an instance's file only, then becomes `--check-config` with the
/// environment that the service would have. So it returns only with a failure.
///
/// # Errors
/// One sentence that names the file and what to do.
pub fn check(name: &str) -> Result<(), Failure> {
    let instance = Instance::read(Path::new(FOLDER), name)?;
    let listening = Listening::of(&instance)?;
    instance.has_target()?;
    instance.is_not_hidden()?;
    instance.can_be_handed_over()?;
    instance.can_be_executed()?;
    instance.can_be_written()?;
    if let Some(program) = instance.program()? {
        program.judge(&instance)?;
    }
    instance.can_be_used_by_the_service()?;
    let cannot = |error: io::Error| Failure::start(format!("cannot check: {error}"));
    let mut command = Command::new(env::current_exe().map_err(cannot)?);
    command.arg("--check-config").env_clear();
    // As in the unit, which has its sandbox enforced unless the file says otherwise.
    command.env("WEBSOCKIFY_SANDBOX", "enforce");
    for (name, value) in &instance.variables {
        if HANDED_OVER.contains(&name.as_str()) {
            command.env(name, decrypted(value).map_err(cannot)?);
        } else if !LISTENING.contains(&name.as_str()) {
            command.env(name, value);
        }
    }
    match &listening {
        Listening::Unix(path) => command.env("WEBSOCKIFY_UNIX_LISTEN", path),
        other => command.env("WEBSOCKIFY_LISTEN", other.stream()),
    };
    Err(cannot(command.exec()))
}

/// Puts files in memory, which end with the check, in the place of encrypted ones.
fn decrypted(paths: &str) -> io::Result<String> {
    let paths = paths.split(',').map(|path| {
        if !credentials::is_encrypted(path) {
            return Ok(path.to_owned());
        }
        // Not closed by exec(2).
        let memory = rustix::fs::memfd_create(path, MemfdFlags::empty())?;
        File::from(memory.try_clone()?).write_all(&refresh::read(path)?)?;
        Ok(format!("/proc/self/fd/{}", memory.into_raw_fd()))
    });
    Ok(paths.collect::<io::Result<Vec<_>>>()?.join(","))
}

impl Instance {
    fn has_target(&self) -> Result<(), Failure> {
        if TARGETS.iter().any(|name| self.value(name).is_some()) {
            return Ok(());
        }
        Err(Failure::start(format!(
            "{} names no target: add a line WEBSOCKIFY_TARGET=host:port",
            self.path.display()
        )))
    }

    /// What systemd could not be told, or would take for something else.
    fn can_be_handed_over(&self) -> Result<(), Failure> {
        let path = self.path.display();
        for program in self.executed() {
            let program = program.to_string_lossy();
            if !can_be_named(&program) {
                return Err(Failure::start(format!(
                    "{path}: systemd cannot be told that the helper {program} is to be executed: \
                     give its whole path, and use letters, digits and ./_-@=,+ in it"
                )));
            }
        }
        for directory in self.directories() {
            let files = in_directory(Path::new(directory)).unwrap_or_default();
            let nameless = |file: &&PathBuf| file.to_str().and_then(credentials::name).is_none();
            if let Some(file) = files.iter().find(nameless) {
                return Err(Failure::start(format!(
                    "{path}: WEBSOCKIFY_CERT={directory}: {} cannot be handed over: use letters, \
                     digits and ._-@=, in its name",
                    file.display()
                )));
            }
        }
        for name in HANDED_OVER {
            for place in self.value(name).into_iter().flat_map(|it| it.split(',')) {
                if place.starts_with('/') && credentials::name(place).is_none() {
                    return Err(Failure::start(format!(
                        "{path}: {name}={place} cannot be handed over by systemd: \
                         use letters, digits and ./_-@=, in its path"
                    )));
                }
            }
        }
        let mut handed_over = self.credentials();
        handed_over.sort_by_key(|place| credentials::name(place));
        for pair in handed_over.windows(2) {
            if credentials::name(pair[0]) == credentials::name(pair[1]) {
                return Err(Failure::start(format!(
                    "{path}: {} and {} cannot both be handed over, because an encrypted file goes \
                     by its last name alone: encrypt one anew under another name",
                    pair[0], pair[1]
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Instance;

    #[test]
    fn two_encrypted_files_of_one_name_are_refused() {
        let judged = |keys: &str| {
            let judged = Instance::of("1", &[("KEY", keys)]).can_be_handed_over();
            judged.map_or_else(|failure| failure.to_string(), |()| String::new())
        };
        let said = judged("/etc/a/key.pem.cred,/etc/c/other.cred,/etc/b/key.pem.cred");
        let both = "/etc/a/key.pem.cred and /etc/b/key.pem.cred cannot both be handed over";
        assert!(said.contains(both), "{said}");
        assert_eq!(judged("/etc/a/key.pem.cred,/etc/b/other.cred"), "");
        assert_eq!(judged("/etc/a/key.pem.cred,/etc/a/key.pem.cred"), "");
        assert_eq!(judged("/etc/a/key.pem,/etc/b/key.pem"), "");
    }
}
