//! The door: who may come in, asked before a WebSocket is promised and, with `--web-auth`, before
//! a file is shown.
//!
//! Each plugin has a file; [`options`] lists them. [`htpasswd`] and [`users`] know passwords,
//! [`cookie`] gives passes, [`slow`] delays guessing, [`seal`] is the keyed hash under them all.

mod basic;
mod client_cert;
mod cookie;
mod htpasswd;
mod options;
mod origin;
mod seal;
mod slow;
mod users;
mod verdict;

use std::path::PathBuf;
use std::time::Instant;

use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};
use tokio::time::sleep;

pub use client_cert::Listed;
pub use options::{Options, Plugin};
pub use origin::Origins;
pub use users::Source;
pub use verdict::Admitted;

use crate::error::Failure;
use crate::listener::Peer;
use crate::log::Throttle;
use crate::refusal::Refusal;
use crate::tls::peer::Names;
use basic::Basic;
use slow::Slow;
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
}

/// What a reload has read.
pub struct Renewed(Vec<Option<Users>>);

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

    /// Reads those files anew; blocks, and changes nothing yet.
    ///
    /// # Errors
    /// One sentence with the file and the line.
    pub fn read(&self) -> Result<Renewed, String> {
        let read = |plugin: &Ready| match plugin {
            Ready::Basic(basic) => basic.read().map(Some),
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
        for (plugin, users) in self.plugins.iter().zip(renewed.0) {
            if let (Ready::Basic(basic), Some(users)) = (plugin, users) {
                basic.renew(users);
            }
        }
    }

    /// Judges one request. A refusal has been logged when this returns.
    ///
    /// # Errors
    /// The answer for a client that is not let in.
    pub async fn judge(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        wants: Wants,
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
            let judged = plugin.judge(visitor, request, wants).await;
            let judged = judged.map_err(|denied| {
                denied.log(&visitor.peer, plugin.name());
                if let Some(user) = denied.guess() {
                    self.slow.failed(from, user, Instant::now());
                }
                denied.answer()
            })?;
            admitted.identity = admitted.identity.or(judged.identity);
            admitted.cookie = admitted.cookie.or(judged.cookie);
        }
        if let Some(user) = &admitted.identity {
            self.slow.succeeded(from, user);
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
}

impl Ready {
    fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Basic(basic) => basic.source().file(),
            Self::Origin(_) | Self::Certificate(_) => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Basic(_) => "BasicHTTPAuth",
            Self::Origin(_) => "ExpectOrigin",
            Self::Certificate(_) => "ClientCertCNAuth",
        }
    }

    async fn judge(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        wants: Wants,
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
        }
    }
}
