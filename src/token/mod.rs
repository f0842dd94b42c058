//! The guide: where a session goes, by a token where there is more than one target.
//!
//! A plugin takes a token's text and knows nothing of requests: those are [`asking`]'s. Each has a
//! file; [`options`] lists them.

mod asking;
mod http_api;
mod json;
mod jwt;
mod options;
#[cfg(feature = "redis")]
mod redis;
mod table;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use hyper::Request;
use tokio::time::sleep;

pub use asking::From;
pub use http_api::{Answer, Template};
pub use jwt::Options as JwtOptions;
pub use options::{Options, Plugin, Tokens};

#[cfg(feature = "redis")]
use self::redis::Redis;
#[cfg(feature = "redis")]
pub use self::redis::Source as RedisSource;
use crate::error::Failure;
use crate::listener::Peer;
use crate::route::Route;
use crate::slow::Slow;
use crate::target::Target;
use http_api::HttpApi;
use jwt::Jwt;
use table::Table;

/// Knows the way of every session.
#[derive(Debug)]
pub struct Guide(Way);

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
    File(Table),
    Http(Box<HttpApi>, Answer),
    Jwt(Box<Jwt>),
    #[cfg(feature = "redis")]
    Redis(Box<Redis>),
}

/// What a reload has read.
pub struct Renewed(New);

enum New {
    Nothing,
    Entries(table::Entries),
    Key(jwt::Renewed),
}

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
            Plugin::TokenFile(path) => Ready::File(Table::load(path).map_err(Failure::start)?),
            Plugin::Http(template, answer) => {
                Ready::Http(Box::new(HttpApi::load(template, answer)?), answer)
            }
            Plugin::Jwt(options) => {
                Ready::Jwt(Box::new(Jwt::load(options).map_err(Failure::start)?))
            }
            #[cfg(feature = "redis")]
            Plugin::Redis(source) => Ready::Redis(Box::new(Redis::load(source)?)),
        };
        Ok(Self(Way::Tokens(Box::new(Many {
            plugin,
            from: tokens.from,
            slow: Slow::default(),
        }))))
    }

    /// Knows one target.
    #[must_use]
    pub fn to(target: Target) -> Self {
        Self(Way::One(Route::to(target)))
    }

    /// The only target, if there is only one.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match &self.0 {
            Way::One(route) => Some(&route.target),
            Way::Tokens(_) => None,
        }
    }

    /// Every file that matters to it, to notice when one changes.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.0 {
            Way::One(_) => Vec::new(),
            Way::Tokens(many) => many.plugin.files(),
        }
    }

    /// Reads those files anew; blocks, and changes nothing yet.
    ///
    /// # Errors
    /// One sentence with the file.
    pub fn read(&self) -> Result<Renewed, String> {
        match &self.0 {
            Way::One(_) => Ok(Renewed(New::Nothing)),
            Way::Tokens(many) => many.plugin.read().map(Renewed),
        }
    }

    /// Goes by what [`Guide::read`] has read from now on.
    pub fn renew(&self, renewed: Renewed) {
        let Way::Tokens(many) = &self.0 else { return };
        match (&many.plugin, renewed.0) {
            (Ready::File(table), New::Entries(entries)) => table.renew(entries),
            (Ready::Jwt(jwt), New::Key(key)) => jwt.renew(key),
            _ => {}
        }
    }

    /// Says in the log when the source of tokens cannot be reached. That may be so for a while
    /// after a reboot, and is no reason not to start.
    pub async fn probe(&self) {
        if let Way::Tokens(many) = &self.0 {
            if let Err(fault) = many.plugin.probe().await {
                let name = many.plugin.name();
                log::warn!("--token-source: {name} cannot be asked at the moment: {fault}");
            }
        }
    }

    /// Finds the way that a request asks for. A client without one has been logged when this
    /// returns.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn find(&self, peer: &Peer, request: &Request<()>) -> Result<Route, Lost> {
        match &self.0 {
            Way::One(route) => Ok(route.clone()),
            Way::Tokens(many) => many.find(peer, request).await,
        }
    }
}

impl Many {
    async fn find(&self, peer: &Peer, request: &Request<()>) -> Result<Route, Lost> {
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
        sleep(self.slow.delay(peer.ip(), Instant::now())).await;
        match self.plugin.look_up(&token).await {
            Ok(Some(route)) => Ok(route),
            Ok(None) => {
                // And no right one makes up for it: who has a token of one's own may not guess
                // the others'.
                self.slow.failed(peer.ip(), Instant::now());
                Err(lost(Lost::Unknown, &"unknown token"))
            }
            Err(fault) => Err(lost(Lost::Unavailable, &fault)),
        }
    }
}

impl Ready {
    fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "TokenFile",
            Self::Http(_, Answer::Text) => "BaseTokenAPI",
            Self::Http(_, Answer::Json) => "JSONTokenApi",
            Self::Jwt(_) => "JWTTokenApi",
            #[cfg(feature = "redis")]
            Self::Redis(_) => "TokenRedis",
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::File(table) => vec![table.path().to_owned()],
            Self::Http(..) => Vec::new(),
            Self::Jwt(jwt) => vec![jwt.path().to_owned()],
            #[cfg(feature = "redis")]
            Self::Redis(_) => Vec::new(),
        }
    }

    fn read(&self) -> Result<New, String> {
        match self {
            Self::File(table) => table.read().map(New::Entries),
            Self::Http(..) => Ok(New::Nothing),
            Self::Jwt(jwt) => jwt.read().map(New::Key),
            #[cfg(feature = "redis")]
            Self::Redis(_) => Ok(New::Nothing),
        }
    }

    /// Tries to reach the source, if it is on a network.
    async fn probe(&self) -> Result<(), Fault> {
        match self {
            Self::File(_) | Self::Jwt(_) => Ok(()),
            Self::Http(api, _) => api.probe().await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.probe().await,
        }
    }

    async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        match self {
            Self::File(table) => Ok(table.look_up(token)),
            Self::Http(api, _) => api.look_up(token).await,
            Self::Jwt(jwt) => Ok(jwt.look_up(token)),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.look_up(token).await,
        }
    }
}

impl fmt::Display for Guide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::One(route) => route.fmt(f),
            Way::Tokens(many) => write!(f, "targets by {}", many.plugin.name()),
        }
    }
}
