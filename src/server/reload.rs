//! New certificates and passwords under live sessions: on SIGHUP, and when the files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits;
use crate::log::escape::Escaped;
use crate::log::{Event, reopen as reopen_log};
use crate::session::Context;
use crate::systemd::credentials::{self, REFUSAL};
use crate::systemd::notify;
use crate::tls::Tls;
use crate::tls::client::Client;

/// What tells one state of files from another: a renewal may replace a file, a link on the way to
/// it or its content.
pub(super) type Stamp = Vec<(PathBuf, Option<(u64, u64, i64, i64, u64)>)>;

/// Renews whatever can be renewed, for as long as it is polled. `known` is the state of the files
/// that were read at start.
pub(super) async fn keep(
    context: Arc<Context>,
    mut hangup: Signal,
    mut known: Stamp,
    outcome: impl Fn(Result<(), String>) -> String,
) {
    let mut refusal = None;
    let mut look = interval(limits::RELOAD_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changed = None;
    loop {
        let told = tokio::select! {
            _ = hangup.recv() => true,
            _ = look.tick() => false,
        };
        if told {
            if let Err(fault) = reopen_log() {
                log::error!("{fault}");
            }
        }
        let now = stamp_of(&context).await;
        if !told {
            if now == known {
                continue;
            }
            if changed.as_ref() != Some(&now) {
                // A certificate and its key are two files: whoever changes them may not be done.
                changed = Some(now);
                look.reset_after(limits::RELOAD_SETTLED);
                continue;
            }
        }
        known = now;
        notify::reloading();
        let refused = if told {
            refused(&mut refusal).await
        } else {
            None
        };
        let renewed = match refused {
            Some(reason) => Err(reason),
            None => {
                let shared = context.clone();
                let renewed = spawn_blocking(move || renew(&shared)).await;
                renewed.unwrap_or_else(|error| Err(error.to_string()))
            }
        };
        match &renewed {
            Ok(()) => log::info!(event = Event::Reloaded; "reloaded"),
            Err(fault) => log::error!(event = Event::NotReloaded;
                "not reloaded, everything stays as it was: {fault}"),
        }
        notify::ready(&outcome(renewed));
    }
}

/// Why the manager's helper has refused this reload (`instance/reload.rs`), if it has: a reason that is
/// as it was `before` is an earlier one's.
async fn refused(before: &mut Option<Stamp>) -> Option<String> {
    let look = || {
        let path = credentials::directories().next()?.join(REFUSAL);
        let reason = fs::read_to_string(&path).ok()?;
        Some((stamp(std::iter::once(path)), reason))
    };
    let (now, reason) = spawn_blocking(look).await.ok()??;
    let known = before.replace(now);
    (known != *before).then(|| Escaped(&reason).to_string())
}

/// All or nothing.
fn renew(context: &Context) -> Result<(), String> {
    let (tls, target_tls) = (&context.tls, &context.target_tls);
    let new = tls.as_deref().map(Tls::read).transpose()?;
    let target_new = target_tls.as_ref().map(Client::read).transpose()?;
    let users = context.door.read()?;
    let routes = context.guide.read()?;
    if let (Some(tls), Some(new)) = (tls, new) {
        tls.renew(new);
    }
    if let (Some(tls), Some(new)) = (target_tls, target_new) {
        tls.renew(new);
    }
    context.door.renew(users);
    context.guide.renew(routes);
    Ok(())
}

async fn stamp_of(context: &Arc<Context>) -> Stamp {
    let context = context.clone();
    let stamp = move || {
        let files = context.tls.iter().flat_map(|tls| tls.files());
        let files = files.chain(context.target_tls.iter().flat_map(Client::files));
        let files = files.chain(context.door.files());
        stamp(files.chain(context.guide.files()))
    };
    spawn_blocking(stamp).await.unwrap_or_default()
}

/// The state of these files; blocks.
pub(super) fn stamp(files: impl Iterator<Item = PathBuf>) -> Stamp {
    let state = |path: &PathBuf| {
        let found = fs::metadata(credentials::located(path)).ok()?;
        Some((
            found.dev(),
            found.ino(),
            found.mtime(),
            found.mtime_nsec(),
            found.size(),
        ))
    };
    files.map(|path| (path.clone(), state(&path))).collect()
}
