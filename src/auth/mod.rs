//! The door: who may come in, asked before a WebSocket is promised and, with `--web-auth`, before
//! a file is shown.
//!
//! Each plugin has a file; [`options`] lists them. [`exec`] asks a program. [`htpasswd`] and
//! [`users`] know passwords, [`cookie`] gives passes, [`slow`](crate::slow) delays guessing,
//! [`seal`] is the keyed hash under them all.

mod basic;
mod client_cert;
mod cookie;
mod exec;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod htpasswd;
mod options;
mod origin;
mod seal;
mod users;
mod verdict;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Instant;

use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use client_cert::Listed;
pub use options::{Options, Plugin};
pub use origin::Origins;
pub use users::Source;
pub use verdict::Admitted;

use crate::error::Failure;
use crate::helper::Running;
use crate::listener::Peer;
use crate::log::Throttle;
use crate::refusal::Refusal;
use crate::slow::Slow;
use crate::target::Target;
use crate::tls::peer::Names;
use basic::Basic;
use exec::{Exec, Stage};
use users::Users;
use verdict::Denied;

/// Who is at the other end, by what no request can say.
#[derive(Debug)]
pub struct Visitor {
    /// The address.
    pub peer: Peer,
    /// Whether there is TLS in between.
    pub secure: bool,
    /// The names in the certificate that TLS verified.
    pub certificate: Option<Names>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A file.
    Page,
    /// A session.
    WebSocket,
}

/// The door of this server; without plugins it is open.
#[derive(Debug, Default)]
pub struct Door {
    plugins: Vec<Ready>,
    pages: bool,
    slow: Slow,
    too_many: Throttle,
}

/// A plugin, ready to judge.
#[derive(Debug)]
enum Ready {
    Basic(Box<Basic>),
    Origin(Origins),
    Certificate(Listed),
    Exec(Exec),
}

/// What a reload has read and started.
pub struct Renewed(Vec<Option<New>>);

enum New {
    Users(Users),
    Helper(Running),
}

impl Door {
    /// Reads everything that the options name.
    ///
    /// # Errors
    /// One sentence with the file and the line.
    pub fn load(options: Options) -> Result<Self, Failure> {
        let pages = options.pages;
        let ready = |plugin| match plugin {
            Plugin::BasicHttpAuth(source) => Basic::load(source, pages)
                .map(|basic| Ready::Basic(Box::new(basic)))
                .map_err(Failure::start),
            Plugin::ExpectOrigin(origins) => Ok(Ready::Origin(origins)),
            Plugin::ClientCertCnAuth(listed) => Ok(Ready::Certificate(listed)),
            Plugin::Exec(program) => Exec::new(program).map(Ready::Exec).map_err(Failure::start),
        };
        Ok(Self {
            plugins: options
                .plugins
                .into_iter()
                .map(ready)
                .collect::<Result<_, _>>()?,
            pages,
            slow: Slow::default(),
            too_many: Throttle::default(),
        })
    }

    /// Every file that matters to it, to notice when one changes.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.plugins.iter().filter_map(Ready::file).collect()
    }

    /// Starts the helpers that it asks.
    ///
    /// # Errors
    /// One sentence with the program.
    pub async fn start(&self) -> Result<(), Failure> {
        for plugin in &self.plugins {
            if let Ready::Exec(exec) = plugin {
                exec.helper().start().await.map_err(Failure::start)?;
            }
        }
        Ok(())
    }

    /// Returns when one of them cannot be started again.
    pub async fn lost(&self) {
        let mut waiting = JoinSet::new();
        for plugin in &self.plugins {
            if let Ready::Exec(exec) = plugin {
                waiting.spawn(exec.helper().lost());
            }
        }
        if waiting.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends them; returns when they are gone.
    pub async fn stop(&self) {
        for plugin in &self.plugins {
            if let Ready::Exec(exec) = plugin {
                exec.helper().stop().await;
            }
        }
    }

    /// Reads those files anew and starts helpers beside those that run; blocks, and changes
    /// nothing yet.
    ///
    /// # Errors
    /// One sentence with the file and the line, or the program.
    pub fn read(&self) -> Result<Renewed, String> {
        let read = |plugin: &Ready| match plugin {
            Ready::Basic(basic) => basic.read().map(New::Users).map(Some),
            Ready::Exec(exec) => {
                let started = Handle::current().block_on(exec.helper().another());
                started.map(New::Helper).map(Some)
            }
            Ready::Origin(_) | Ready::Certificate(_) => Ok(None),
        };
        self.plugins
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Renewed)
    }

    /// Goes by what [`Door::read`] has read from now on.
    pub fn renew(&self, renewed: Renewed) {
        for (plugin, new) in self.plugins.iter().zip(renewed.0) {
            match (plugin, new) {
                (Ready::Basic(basic), Some(New::Users(users))) => basic.renew(users),
                (Ready::Exec(exec), Some(New::Helper(running))) => exec.helper().replace(running),
                _ => {}
            }
        }
    }

    /// Judges one request. `target` is where it leads, if that is known before a token is looked
    /// up. A refusal has been logged when this returns.
    ///
    /// # Errors
    /// The answer for a client that is not let in.
    pub async fn judge(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        wants: Wants,
        target: Option<&Target>,
    ) -> Result<Admitted, Refusal> {
        let mut admitted = Admitted::default();
        if self.plugins.is_empty() || (wants == Wants::Page && !self.pages) {
            return Ok(admitted);
        }
        let from = visitor.peer.ip();
        let Some(turn) = self.slow.turn(from, Instant::now()) else {
            return Err(self.too_many(visitor));
        };
        if !turn.delay.is_zero() {
            sleep(turn.delay).await;
        }
        for plugin in &self.plugins {
            let judged = plugin.judge(visitor, request, wants, target).await;
            let judged = judged.map_err(|denied| self.turn_away(denied, visitor, plugin))?;
            admitted.identity = admitted.identity.or(judged.identity);
            admitted.cookie = admitted.cookie.or(judged.cookie);
        }
        // Otherwise the last word is authorise's.
        if target.is_some() || wants == Wants::Page {
            self.forgive(from, &admitted);
        }
        Ok(admitted)
    }

    /// Without a line for each: whoever does not wait for the answers could write the log full.
    fn too_many(&self, visitor: &Visitor) -> Refusal {
        if let Some(more) = self.too_many.pass() {
            let peer = &visitor.peer;
            log::warn!("slowed client={peer}: its network guesses too much at once{more}");
        }
        let text = "Too many log-ins at once";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, text).with(RETRY_AFTER, "5")
    }

    /// Judges whether who was let in may reach the `target` that its token led to. A refusal has
    /// been logged when this returns.
    ///
    /// # Errors
    /// The answer for a client that may not.
    pub async fn authorise(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        target: &Target,
        admitted: &mut Admitted,
    ) -> Result<(), Refusal> {
        for plugin in &self.plugins {
            if let Ready::Exec(exec) = plugin {
                let asked = (Wants::WebSocket, Stage::Authorize, Some(target));
                let judged = exec.judge(visitor, request, asked).await;
                let judged = judged.map_err(|denied| self.turn_away(denied, visitor, plugin))?;
                admitted.identity = admitted.identity.take().or(judged.identity);
            }
        }
        self.forgive(visitor.peer.ip(), admitted);
        Ok(())
    }

    /// Records a refusal, and counts it where it may have been a guess.
    fn turn_away(&self, denied: Denied, visitor: &Visitor, plugin: &Ready) -> Refusal {
        denied.log(&visitor.peer, plugin.name());
        if let Some(user) = denied.guess() {
            let from = visitor.peer.ip();
            self.slow.failed(from, user, Instant::now());
        }
        denied.answer()
    }

    fn forgive(&self, from: Option<IpAddr>, admitted: &Admitted) {
        if let Some(user) = &admitted.identity {
            self.slow.succeeded(from, user);
        }
    }
}

impl Ready {
    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Basic(basic) => basic.source().file(),
            Self::Origin(_) | Self::Certificate(_) | Self::Exec(_) => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Basic(_) => "BasicHTTPAuth",
            Self::Origin(_) => "ExpectOrigin",
            Self::Certificate(_) => "ClientCertCNAuth",
            Self::Exec(_) => "Exec",
        }
    }

    async fn judge(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        wants: Wants,
        target: Option<&Target>,
    ) -> Result<Admitted, Denied> {
        let headers = request.headers();
        match self {
            Self::Basic(basic) => basic.judge(visitor, headers, wants).await,
            Self::Origin(origins) => {
                origins.judge(headers, wants)?;
                Ok(Admitted::default())
            }
            Self::Certificate(listed) => {
                let name = listed.judge(visitor.certificate.as_ref())?;
                Ok(Admitted {
                    identity: Some(name.into()),
                    cookie: None,
                })
            }
            Self::Exec(exec) => {
                let asked = (wants, Stage::Authenticate, target);
                exec.judge(visitor, request, asked).await
            }
        }
    }
}
