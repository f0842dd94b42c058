//! Every plugin, ready to look tokens up: what each has to say to the few things that are asked of
//! all.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "redis")]
use openssl::ssl::SslConnector;
use tokio::runtime::Handle;

use super::Fault;
use super::exec::Exec;
use super::http_api::{Answer, HttpApi};
use super::jwt::{self, Jwt};
use super::options::Plugin;
#[cfg(feature = "redis")]
use super::redis::Redis;
use super::sockets::{self, Sockets};
use super::table::{self, Table};
use crate::error::Failure;
use crate::helper::Running;
use crate::route::Route;

/// A plugin that has read what it needs.
#[derive(Debug)]
pub(super) enum Ready {
    Table(Arc<Table>),
    Sockets(Sockets),
    Http(Box<HttpApi>, Answer),
    Jwt(Box<Jwt>),
    #[cfg(feature = "redis")]
    Redis(Box<Redis>),
    Exec(Exec),
}

/// What a reload has read or started.
pub(super) enum New {
    Nothing,
    Entries(table::Entries),
    Key(jwt::Renewed),
    #[cfg(feature = "redis")]
    Tls(SslConnector),
    Helper(Running),
}

impl Ready {
    pub(super) fn load(plugin: Plugin) -> Result<Self, Failure> {
        let ready = match plugin {
            Plugin::Table(path, layout) => {
                Table::load(path, layout).map(|table| Self::Table(Arc::new(table)))
            }
            Plugin::SocketDirectory(path) => Sockets::new(path).map(Self::Sockets),
            Plugin::Http(template, answer) => {
                HttpApi::load(template, answer).map(|api| Self::Http(Box::new(api), answer))
            }
            Plugin::Jwt(options) => Jwt::load(options).map(|jwt| Self::Jwt(Box::new(jwt))),
            #[cfg(feature = "redis")]
            Plugin::Redis(source) => Redis::load(*source).map(|it| Self::Redis(Box::new(it))),
            Plugin::Exec(program) => Exec::new(program).map(Self::Exec),
        };
        ready.map_err(Failure::start)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Table(table) => table.class(),
            Self::Sockets(_) => "UnixDomainSocketDirectory",
            Self::Http(_, Answer::Text) => "BaseTokenAPI",
            Self::Http(_, Answer::Json) => "JSONTokenApi",
            Self::Jwt(_) => "JWTTokenApi",
            #[cfg(feature = "redis")]
            Self::Redis(_) => "TokenRedis",
            Self::Exec(_) => "Exec",
        }
    }

    /// Every file that it does not watch itself.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Jwt(jwt) => vec![jwt.path().to_owned()],
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.files(),
            Self::Table(_) | Self::Sockets(_) | Self::Http(..) | Self::Exec(_) => Vec::new(),
        }
    }

    /// Starts the helper that is asked.
    pub(super) async fn start(&self) -> Result<(), String> {
        match self {
            Self::Exec(exec) => exec.helper().start().await,
            _ => Ok(()),
        }
    }

    /// Returns when the helper cannot be started again.
    pub(super) async fn lost(&self) {
        match self {
            Self::Exec(exec) => exec.helper().lost().await,
            _ => std::future::pending().await,
        }
    }

    /// Ends it; returns when it is gone.
    pub(super) async fn stop(&self) {
        if let Self::Exec(exec) = self {
            exec.helper().stop().await;
        }
    }

    /// Reads all files anew, or starts a helper beside the one that runs; blocks, and changes
    /// nothing yet.
    pub(super) fn read(&self) -> Result<New, String> {
        match self {
            Self::Table(table) => {
                let read = table.read().map_err(|unread| unread.to_string());
                read.map(New::Entries)
            }
            Self::Jwt(jwt) => jwt.read().map(New::Key),
            Self::Sockets(_) | Self::Http(..) => Ok(New::Nothing),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => Ok(redis.read()?.map_or(New::Nothing, New::Tls)),
            Self::Exec(exec) => Handle::current()
                .block_on(exec.helper().another())
                .map(New::Helper),
        }
    }

    pub(super) fn renew(&self, new: New) {
        match (self, new) {
            (Self::Table(table), New::Entries(entries)) => table.renew(entries),
            (Self::Jwt(jwt), New::Key(key)) => jwt.renew(key),
            #[cfg(feature = "redis")]
            (Self::Redis(redis), New::Tls(connector)) => redis.renew(connector),
            (Self::Exec(exec), New::Helper(running)) => exec.helper().replace(running),
            _ => {}
        }
    }

    /// Keeps up with what changes, for as long as it is polled.
    ///
    /// A source on a network is tried once: an administrator should hear of a wrong address before
    /// users do. It may not be there yet after a reboot, which is no reason not to start.
    pub(super) async fn keep(&self) {
        let tried = match self {
            Self::Table(table) => return table.clone().keep().await,
            Self::Http(api, _) => api.probe().await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.probe().await,
            Self::Sockets(_) | Self::Jwt(_) | Self::Exec(_) => Ok(()),
        };
        if let Err(fault) = tried {
            log::warn!("{} cannot be asked at the moment: {fault}", self.name());
        }
    }

    /// The one spelling of a token that has several: by it sessions of the token are found again.
    pub(super) fn spelt<'t>(&self, token: &'t str) -> Cow<'t, str> {
        match self {
            Self::Table(table) => table.spelt(token).into(),
            Self::Sockets(_) => sockets::spelt(token).into(),
            _ => token.into(),
        }
    }

    pub(super) async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        match self {
            Self::Table(table) => Ok(table.look_up(token)),
            Self::Sockets(sockets) => sockets.look_up(token).await,
            Self::Http(api, _) => api.look_up(token).await,
            Self::Jwt(jwt) => Ok(jwt.look_up(token)),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.look_up(token).await,
            Self::Exec(exec) => exec.look_up(token).await,
        }
    }
}
