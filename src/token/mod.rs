//! The guide: where a session goes, by a token where there is more than one target.
//!
//! A plugin takes a token's text and knows nothing of requests: those are [`asking`]'s. Each has a
//! file; [`options`] lists them.

mod asking;
mod exec;
mod mark;
mod options;
mod sockets;
mod table;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hyper::{Request, StatusCode};
use tokio::runtime::Handle;
use tokio::time::sleep;

pub use asking::From;
pub use mark::Mark;
pub use options::{Options, Plugin, Tokens};
pub use table::Layout;

use crate::error::Failure;
use crate::helper::Running;
use crate::listener::Peer;
use crate::route::Route;
use crate::slow::Slow;
use crate::target::Target;
use exec::Exec;
use sockets::Sockets;
use table::Table;

/// Knows the way of every session.
#[derive(Debug)]
pub struct Guide {
    way: Way,
    /// Whether a client without a way is told so by a close frame.
    closes: bool,
}

#[derive(Debug)]
enum Way {
    One(Route),
    Tokens(Box<Many>),
}

#[derive(Debug)]
struct Many {
    plugin: Ready,
    from: From,
    slow: Slow,
}

/// A plugin, ready to look tokens up.
#[derive(Debug)]
enum Ready {
    Table(Arc<Table>),
    Sockets(Sockets),
    Exec(Exec),
}

/// Where a client goes.
#[derive(Clone, Debug)]
pub struct Found {
    /// The way.
    pub route: Route,
    /// The mark of its token, if it has one.
    pub token: Option<Mark>,
}

/// What a reload has read or started.
pub struct Renewed(New);

enum New {
    Nothing,
    Entries(table::Entries),
    Helper(Running),
}

/// The source of tokens could not be asked. The text is for the log, and holds no token.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// There is no way for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its request has no token.
    NoToken,
    /// Its token stands for nothing.
    Unknown,
    /// Nobody knows: the source of tokens could not be asked.
    Unavailable,
}

impl Guide {
    /// Reads everything that the options name.
    ///
    /// # Errors
    /// One sentence with the file.
    pub fn load(options: Options) -> Result<Self, Failure> {
        let tokens = match options {
            Options::Target(target) => return Ok(Self::to(target)),
            Options::Tokens(tokens) => *tokens,
        };
        let plugin = match tokens.plugin {
            Plugin::Table(path, layout) => {
                Table::load(path, layout).map(|table| Ready::Table(Arc::new(table)))
            }
            Plugin::SocketDirectory(path) => Sockets::new(path).map(Ready::Sockets),
            Plugin::Exec(program) => Ok(Ready::Exec(Exec::new(program))),
        };
        Ok(Self {
            way: Way::Tokens(Box::new(Many {
                plugin: plugin.map_err(Failure::start)?,
                from: tokens.from,
                slow: Slow::default(),
            })),
            closes: tokens.closes,
        })
    }

    /// Knows one target.
    #[must_use]
    pub fn to(target: Target) -> Self {
        Self {
            way: Way::One(Route::to(target)),
            closes: false,
        }
    }

    /// Whether a client without a way is to learn it by a close frame, which browsers show, and
    /// not by the answer to its request, which they do not.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// The only target, if there is only one.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match &self.way {
            Way::One(route) => Some(&route.target),
            Way::Tokens(_) => None,
        }
    }

    /// Starts the helper that it asks.
    ///
    /// # Errors
    /// One sentence with the program.
    pub async fn start(&self) -> Result<(), Failure> {
        match self.helper() {
            Some(exec) => exec.start().await.map_err(Failure::start),
            None => Ok(()),
        }
    }

    /// Ends it; returns when it is gone.
    pub async fn stop(&self) {
        if let Some(exec) = self.helper() {
            exec.stop().await;
        }
    }

    fn helper(&self) -> Option<&Exec> {
        match &self.way {
            Way::Tokens(many) => match &many.plugin {
                Ready::Exec(exec) => Some(exec),
                Ready::Table(_) | Ready::Sockets(_) => None,
            },
            Way::One(_) => None,
        }
    }

    /// Every file that matters to it and that it does not watch itself.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.way {
            Way::One(_) => Vec::new(),
            Way::Tokens(many) => many.plugin.files(),
        }
    }

    /// Reads all files anew, or starts a helper beside the one that runs; blocks, and changes
    /// nothing yet.
    ///
    /// # Errors
    /// One sentence with the file or the program.
    pub fn read(&self) -> Result<Renewed, String> {
        let Way::Tokens(many) = &self.way else {
            return Ok(Renewed(New::Nothing));
        };
        let new = match &many.plugin {
            Ready::Table(table) => table.read().map(New::Entries),
            Ready::Sockets(_) => Ok(New::Nothing),
            Ready::Exec(exec) => Handle::current().block_on(exec.another()).map(New::Helper),
        };
        new.map(Renewed)
    }

    /// Goes by what [`Guide::read`] has read from now on.
    pub fn renew(&self, renewed: Renewed) {
        let Way::Tokens(many) = &self.way else { return };
        match (&many.plugin, renewed.0) {
            (Ready::Table(table), New::Entries(entries)) => table.renew(entries),
            (Ready::Exec(exec), New::Helper(running)) => exec.replace(running),
            _ => {}
        }
    }

    /// Keeps up with what changes, for as long as it is polled.
    pub async fn keep(&self) {
        if let Way::Tokens(many) = &self.way {
            if let Ready::Table(table) = &many.plugin {
                table.clone().keep().await;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Finds the way that a request asks for. A client without one has been logged when this
    /// returns.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn find(&self, peer: &Peer, request: &Request<()>) -> Result<Found, Lost> {
        match &self.way {
            Way::One(route) => Ok(Found {
                route: route.clone(),
                token: None,
            }),
            Way::Tokens(many) => many.find(peer, request).await,
        }
    }
}

impl Many {
    async fn find(&self, peer: &Peer, request: &Request<()>) -> Result<Found, Lost> {
        let name = self.plugin.name();
        let lost = |lost: Lost, fault: &dyn fmt::Display| {
            log::warn!("token failed client={peer} plugin={name} reason=\"{fault}\"");
            lost
        };
        let token = self
            .from
            .token(request)
            .ok_or_else(|| lost(Lost::NoToken, &"no token"))?;
        // As long for a right token as for a wrong one: who guesses must not learn from a quick
        // answer that it was right.
        let turn = self.slow.turn(peer.ip(), Instant::now());
        let turn = turn.ok_or_else(|| lost(Lost::Unavailable, &"too many guesses at once"))?;
        if !turn.delay.is_zero() {
            sleep(turn.delay).await;
        }
        match self.plugin.look_up(&token).await {
            Ok(Some(route)) => Ok(Found {
                route,
                token: Some(Mark::of(&token)),
            }),
            Ok(None) => {
                // And no right one makes up for it: who has a token of one's own may not guess
                // the others'.
                self.slow.failed(peer.ip(), "", Instant::now());
                Err(lost(Lost::Unknown, &"unknown token"))
            }
            Err(fault) => Err(lost(Lost::Unavailable, &fault)),
        }
    }
}

impl Lost {
    /// What a person is told.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NoToken => "This address needs a token",
            Self::Unknown => "The token is not known: it may be mistyped, revoked or out of date",
            Self::Unavailable => "Tokens cannot be looked up at the moment",
        }
    }

    /// The status of the answer that says so (RFC 9110, 15); 4000 more is the close code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoToken => StatusCode::FORBIDDEN,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Ready {
    fn name(&self) -> &'static str {
        match self {
            Self::Table(table) => table.class(),
            Self::Sockets(_) => "UnixDomainSocketDirectory",
            Self::Exec(_) => "Exec",
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Table(_) | Self::Sockets(_) | Self::Exec(_) => Vec::new(),
        }
    }

    async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        match self {
            Self::Table(table) => Ok(table.look_up(token)),
            Self::Sockets(sockets) => sockets.look_up(token).await,
            Self::Exec(exec) => exec.look_up(token).await,
        }
    }
}

impl fmt::Display for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::One(route) => route.fmt(f),
            Way::Tokens(many) => write!(f, "targets by {}", many.plugin.name()),
        }
    }
}
