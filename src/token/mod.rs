//! The guide: where a session goes, by a token where there is more than one target.
//!
//! A plugin takes a token's text and knows nothing of requests: those are [`asking`]'s. Each has a
//! file; [`options`] lists them, [`plugin`] speaks for each.

mod asking;
mod exec;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http_api;
mod json;
mod jwt;
mod mark;
mod options;
mod plugin;
#[cfg(feature = "redis")]
mod redis;
mod sockets;
mod table;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hyper::{Request, StatusCode};
use log::Level;
use tokio::time::sleep;

#[cfg(feature = "redis")]
pub use self::redis::Source as RedisSource;
pub use asking::From;
pub use http_api::{Answer, Template};
pub use jwt::Options as JwtOptions;
pub use mark::Mark;
pub use options::{Options, Plugin, Tokens};
pub use table::Layout;

use crate::error::Failure;
use crate::listener::Peer;
use crate::log::Throttle;
use crate::log::escape::Escaped;
use crate::route::Route;
use crate::slow::Slow;
use crate::target::Target;
use plugin::{New, Ready};

/// Knows the way of every session.
#[derive(Debug)]
pub struct Guide {
    way: Way,
    /// Whether a client without a way is told so by a close frame.
    closes: bool,
}

#[derive(Debug)]
enum Way {
    One(Arc<Route>),
    Tokens(Box<Many>),
}

#[derive(Debug)]
struct Many {
    plugin: Ready,
    from: From,
    slow: Slow,
    guessing: Throttle,
}

/// Where a client goes.
#[derive(Clone, Debug)]
pub struct Found {
    /// The way.
    pub route: Arc<Route>,
    /// The mark of its token, if it has one.
    pub token: Option<Mark>,
}

/// What a reload has read or started.
pub struct Renewed(New);

/// The source of tokens could not be asked. The text is for the log, and holds no token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// There is no way for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its request has no token.
    NoToken,
    /// Its token stands for nothing.
    Unknown,
    /// Too many of its network guess at once.
    Guessing,
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
        Ok(Self {
            way: Way::Tokens(Box::new(Many {
                plugin: Ready::load(tokens.plugin)?,
                from: tokens.from,
                slow: Slow::default(),
                guessing: Throttle::default(),
            })),
            closes: tokens.closes,
        })
    }

    /// Knows one target.
    #[must_use]
    pub fn to(target: Target) -> Self {
        Self {
            way: Way::One(Arc::new(Route::to(target))),
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
        match &self.way {
            Way::Tokens(many) => many.plugin.start().await.map_err(Failure::start),
            Way::One(_) => Ok(()),
        }
    }

    /// Returns when it cannot be started again.
    pub async fn lost(&self) {
        match &self.way {
            Way::Tokens(many) => many.plugin.lost().await,
            Way::One(_) => std::future::pending().await,
        }
    }

    /// Ends it; returns when it is gone.
    pub async fn stop(&self) {
        if let Way::Tokens(many) = &self.way {
            many.plugin.stop().await;
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
        match &self.way {
            Way::One(_) => Ok(Renewed(New::Nothing)),
            Way::Tokens(many) => many.plugin.read().map(Renewed),
        }
    }

    /// Goes by what [`Guide::read`] has read from now on.
    pub fn renew(&self, renewed: Renewed) {
        if let Way::Tokens(many) = &self.way {
            many.plugin.renew(renewed.0);
        }
    }

    /// Keeps up with what changes, for as long as it is polled.
    pub async fn keep(&self) {
        if let Way::Tokens(many) = &self.way {
            many.plugin.keep().await;
        }
        std::future::pending::<()>().await;
    }

    /// A request's path as the log may have it.
    #[must_use]
    pub fn shown_path<'r>(&self, request: &'r Request<()>) -> Cow<'r, str> {
        let path = request.uri().path();
        let has_token = matches!(&self.way, Way::Tokens(many) if many.from == From::Path);
        if has_token {
            let (before, _) = path
                .trim_end_matches('/')
                .rsplit_once('/')
                .unwrap_or_default();
            return format!("{before}/…").into();
        }
        path.into()
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
        let lost = |lost: Lost, fault: &str| {
            let level = match lost {
                Lost::NoToken => Level::Info,
                Lost::Unknown | Lost::Guessing | Lost::Unavailable => Level::Warn,
            };
            let fault = Escaped(fault);
            log::log!(
                level,
                "token failed client={peer} plugin={name} reason=\"{fault}\""
            );
            lost
        };
        let token = self
            .from
            .token(request)
            .ok_or_else(|| lost(Lost::NoToken, "no token"))?;
        // As long for a right token as for a wrong one: who guesses must not learn from a quick
        // answer that it was right.
        let Some(turn) = self.slow.turn(peer.ip(), Instant::now()) else {
            // Without a line for each: whoever does not wait for answers could fill the log.
            if let Some(more) = self.guessing.pass() {
                log::warn!("slowed client={peer}: its network guesses too much at once{more}");
            }
            return Err(Lost::Guessing);
        };
        if !turn.delay.is_zero() {
            sleep(turn.delay).await;
        }
        match self.plugin.look_up(&token).await {
            Ok(Some(route)) => Ok(Found {
                route: Arc::new(route),
                token: Some(Mark::of(&self.plugin.spelt(&token))),
            }),
            Ok(None) => {
                // And no right one makes up for it: who has a token of one's own may not guess
                // the others'.
                self.slow.failed(peer.ip(), "", Instant::now());
                Err(lost(Lost::Unknown, "unknown token"))
            }
            Err(Fault(fault)) => Err(lost(Lost::Unavailable, &fault)),
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
            Self::Guessing => "Too many wrong tokens from your network: try again in a while",
            Self::Unavailable => "Tokens cannot be looked up at the moment",
        }
    }

    /// The status of the answer that says so (RFC 9110, 15); 4000 more is the close code.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoToken => StatusCode::FORBIDDEN,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Guessing => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use hyper::Request;
    use tokio::time::timeout;

    use super::{From, Guide, Layout, Lost, Options, Plugin, Tokens};
    use crate::limits;
    use crate::listener::Peer;

    fn guide(from: From) -> Guide {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "vm1: h:1\n").unwrap();
        let tokens = Tokens {
            plugin: Plugin::Table(path, Layout::Lines),
            from,
            closes: false,
            allowed: Vec::new(),
        };
        Guide::load(Options::Tokens(Box::new(tokens))).unwrap()
    }

    fn asking(target: &str) -> Request<()> {
        Request::get(target).body(()).unwrap()
    }

    /// A right token costs a guesser the same time, and does not buy the next guesses.
    #[tokio::test]
    async fn who_guesses_waits_and_nobody_else() {
        let guide = guide(From::Query);
        let at = |address: &str| Peer::Tcp(format!("{address}:1").parse().unwrap());
        let (guesser, other) = (at("192.0.2.1"), at("192.0.2.2"));
        let (right, wrong) = (asking("/?token=vm1"), asking("/?token=vm2"));
        for _ in 0..limits::FAILURES_FREE {
            assert!(guide.find(&guesser, &right).await.is_ok());
            let lost = guide.find(&guesser, &wrong).await.unwrap_err();
            assert_eq!(lost, Lost::Unknown);
        }
        let soon = limits::FAILURE_DELAY - Duration::from_millis(50);
        assert!(timeout(soon, guide.find(&guesser, &right)).await.is_err());
        assert!(timeout(soon, guide.find(&other, &right)).await.is_ok());
        assert!(guide.find(&guesser, &right).await.is_ok());
    }

    #[test]
    fn a_path_that_holds_a_token_is_not_shown() {
        for (from, path, shown) in [
            (From::Query, "/a/vm1", "/a/vm1"),
            (From::Path, "/a/vm1", "/a/…"),
            (From::Path, "/a/vm1/", "/a/…"),
            (From::Path, "/vm1", "/…"),
            (From::Path, "/", "/…"),
        ] {
            assert_eq!(guide(from).shown_path(&asking(path)), shown, "{path}");
        }
    }
}
