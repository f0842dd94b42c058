//! A program that is wrapped: its port is moved to loopback, and it is watched and ended with us.
//!
//! Two processes do it. The supervisor ([`supervisor`]) is this program once more, started before
//! there are threads or a sandbox: it starts the program, and kills it, and knows nothing else. What
//! is to be done is decided here in the bridge ([`keeper`]), which tells it by a socket; when that
//! socket ends, however the bridge did, the supervisor stops everything and ends, too.
//!
//! - [`program`], by way of [`elf`]: whether there is such a program and a library can be preloaded
//! - [`launch`]: the supervisor's start
//! - [`supervisor`], over [`family`] and [`user`]: the process beside us
//! - [`message`]: what the two say to each other
//! - [`keeper`], by [`pacing`]: the modes; [`state`] is what others see of it
//! - [`output`]: what the program says, in our log
//! - [`elsewhere`]: a program that the service manager keeps instead

// The library's own file, so that the names of its variables cannot drift apart.
#[path = "../../preload/src/contract.rs"]
#[expect(dead_code, unreachable_pub, reason = "the library uses the rest")]
mod contract;
mod elf;
pub mod elsewhere;
mod family;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keeper;
mod launch;
mod message;
mod output;
mod pacing;
mod program;
pub mod state;
pub mod supervisor;
mod user;

use std::ffi::OsString;

use tokio::time::{Instant, sleep_until};

pub use keeper::{Keeper, Kept};
pub use launch::{Supervised, start};
pub use message::End;
pub use state::{Program, State};

/// What is wrapped, and how.
#[derive(Debug)]
pub struct Options {
    /// The program and its arguments; never empty.
    pub command: Vec<OsString>,
    /// The port that the program wants; never 0.
    pub port: u16,
    /// What its end means.
    pub mode: Mode,
    /// Whom it runs as, if not as we do.
    pub user: Option<String>,
}

/// What the end of the program means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// We end, with its status.
    Exit,
    /// Nothing: it may have gone to the background.
    Ignore,
    /// It is started again.
    Respawn,
}

/// Waits for a time, or for ever where none is set.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
