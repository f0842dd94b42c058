//! New certificates under live sessions: on SIGHUP, and when the files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits;
use crate::session::Context;
use crate::systemd::notify;

/// What tells one state of a file from another: a renewal may replace it, a link on the way to it
/// or its content.
type Stamp = Vec<(PathBuf, Option<(u64, u64, i64, i64, u64)>)>;

/// Renews whatever can be renewed, for as long as it is polled.
pub(super) async fn keep(context: Arc<Context>, mut hangup: Signal, status: impl Fn() -> String) {
    let mut look = interval(limits::RELOAD_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = stamp(&context).await;
    loop {
        let told = tokio::select! {
            _ = hangup.recv() => true,
            _ = look.tick() => false,
        };
        let now = stamp(&context).await;
        if !told && now == known {
            continue;
        }
        known = now;
        notify::reloading();
        let shared = context.clone();
        let renewed = spawn_blocking(move || renew(&shared)).await;
        match renewed.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) if told || context.tls.is_some() => log::info!("reloaded"),
            Ok(()) => {}
            Err(fault) => log::error!("not reloaded, everything stays as it was: {fault}"),
        }
        notify::ready(&status());
    }
}

fn renew(context: &Context) -> Result<(), String> {
    context.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
}

async fn stamp(context: &Arc<Context>) -> Stamp {
    let context = context.clone();
    let stat = move || {
        let files = context
            .tls
            .as_ref()
            .map(|tls| tls.files())
            .unwrap_or_default();
        let state = |path: &PathBuf| {
            let found = fs::metadata(path).ok()?;
            Some((
                found.dev(),
                found.ino(),
                found.mtime(),
                found.mtime_nsec(),
                found.size(),
            ))
        };
        files
            .into_iter()
            .map(|path| (path.clone(), state(&path)))
            .collect()
    };
    spawn_blocking(stat).await.unwrap_or_default()
}
