//! `--prepare-reload`: what a reload does with root's rights before the bridge is told of it. What
//! would be refused is not brought; the bridge gets the reason instead, for its log and its status,
//! and goes on as it is.

use std::env;
use std::process::Command;

use super::refresh::{self, Runtime};
use crate::environment;
use crate::error::Failure;
use crate::systemd::credentials::REFUSAL;

/// The word for it, which is the unit's to say and nobody else's.
pub const WORD: &str = "--prepare-reload";

/// Judges the instance and brings its credentials, or the reason why not.
///
/// # Errors
/// One sentence. An instance that is refused is none: `--check-instance` says so by its status.
pub fn prepare(name: &str) -> Result<(), Failure> {
    let runtime = Runtime::of(name)?;
    if let Some(reason) = refused(name)? {
        return runtime.put(REFUSAL, reason.as_bytes());
    }
    refresh::refresh(name)?;
    runtime.forget(|name| name == REFUSAL)
}

/// Why `--check-instance` refuses it, if it does.
fn refused(name: &str) -> Result<Option<String>, Failure> {
    let cannot = |error| Failure::start(format!("cannot check {name}: {error}"));
    let mut check = Command::new(env::current_exe().map_err(cannot)?);
    for name in environment::ours() {
        check.env_remove(name);
    }
    let checked = check
        .args(["--check-instance", name])
        .output()
        .map_err(cannot)?;
    if checked.status.success() {
        return Ok(None);
    }
    // Warnings may stand before it.
    let said = String::from_utf8_lossy(&checked.stderr);
    let told = said.trim_end().rsplit("websockify: error: ").next();
    Ok(Some(told.unwrap_or_default().to_owned()))
}
