//! Sessions that are cut and gone on with, over real sockets.

mod format;
mod peers;
mod recordings;
mod sessions;

use std::sync::Arc;

use crate::listener::Peer;
use crate::route::Route;
use crate::server::ledger::Entry;
use crate::target::Target;
use crate::token::Mark;

/// A line of the ledger that is the same in every run.
fn entry() -> Arc<Entry> {
    let mut route = Route::to(Target::Unix("/run/vm \u{e9}.sock".into()));
    route.name = Some("vm 7".into());
    route.until = Some(std::time::UNIX_EPOCH + std::time::Duration::new(2_000_000_000, 5));
    Arc::new(Entry {
        id: 7,
        client: Peer::Tcp("192.0.2.1:40000".parse().unwrap()),
        identity: Some("jane \"j\" doe".into()),
        route: Arc::new(route),
        token: Some(Mark::of("abc")),
        since: std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_900_000_000),
        tally: Arc::default(),
    })
}
