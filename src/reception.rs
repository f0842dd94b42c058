//! Where a request is let in or turned away: first who it is, and only then anything that costs
//! work or tells a stranger something.

use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};

use crate::auth::{Admitted, Door, Visitor, Wants};
use crate::listener::Peer;
use crate::meters::Reason;
use crate::proxies::{Caller, Proxies};
use crate::refusal::Refusal;
use crate::server::census::{Full, Seat};
use crate::server::monitor::Monitor;
use crate::server::turned_away::TurnedAway;
use crate::tls::peer::Names;
use crate::token::{Found, Guide, Lost};

/// Receives one client's requests.
#[derive(Debug)]
pub struct Reception<'c> {
    /// Who may speak for others.
    pub proxies: &'c Proxies,
    /// Keeps book of those there is no room for.
    pub turned_away: &'c TurnedAway,
    /// Who may come in.
    pub door: &'c Door,
    /// Where sessions go.
    pub guide: &'c Guide,
    /// Where refusals are counted.
    pub monitor: &'c Monitor,
    /// Who is at the other end.
    pub caller: Caller,
    /// Whether there is TLS in between.
    pub secure: bool,
    /// The names in the certificate that TLS verified.
    pub certificate: Option<Names>,
    /// What it holds of the server's limits.
    pub seat: &'c Seat,
}

/// A client gets its session, or at least a word about why it has none.
#[derive(Debug)]
pub struct Welcome {
    /// Where it is.
    pub client: Peer,
    /// Who it is, if that was asked.
    pub identity: Option<Box<str>>,
    /// Where it goes.
    pub way: Result<Found, Lost>,
}

impl Reception<'_> {
    /// Finds out whose request this is.
    ///
    /// # Errors
    /// The answer where nobody can tell.
    pub fn visitor(&self, request: &Request<()>) -> Result<Visitor, Refusal> {
        let client = self.proxies.client(&self.caller, request.headers())?;
        Ok(Visitor {
            peer: client.peer,
            secure: client.tls.unwrap_or(self.secure),
            certificate: self.certificate.clone(),
        })
    }

    /// Judges a request for a page.
    ///
    /// # Errors
    /// The answer for a client that does not get it.
    pub async fn receive_reader(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
    ) -> Result<Admitted, Refusal> {
        self.ask_door(visitor, request, Wants::Page).await
    }

    /// Judges a request for a session.
    ///
    /// # Errors
    /// The answer for a client that does not get one.
    pub async fn receive(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
    ) -> Result<Welcome, Refusal> {
        let mut admitted = self.ask_door(visitor, request, Wants::WebSocket).await?;
        let way = self.guide.find(&visitor.peer, request).await;
        if let (None, Ok(found)) = (self.guide.target(), &way) {
            let target = &found.route.target;
            let authorised = self.door.authorise(visitor, request, target, &mut admitted);
            let authorised = authorised.await;
            authorised.inspect_err(|_| self.monitor.meters.refused(Reason::Door))?;
        }
        match way {
            Ok(_) => {
                let begun = self.seat.begin_session(visitor.peer.ip());
                begun.map_err(|full| self.no_room(&visitor.peer, full))?;
            }
            Err(lost) => {
                self.monitor.meters.refused(reason(lost));
                if !self.guide.closes() {
                    return Err(answer(lost));
                }
            }
        }
        Ok(Welcome {
            client: visitor.peer,
            identity: admitted.identity,
            way,
        })
    }

    async fn ask_door(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        wants: Wants,
    ) -> Result<Admitted, Refusal> {
        let judged = self
            .door
            .judge(visitor, request, wants, self.guide.target());
        let judged = judged.await;
        judged.inspect_err(|_| self.monitor.meters.refused(Reason::Door))
    }

    fn no_room(&self, client: &Peer, full: Full) -> Refusal {
        self.turned_away.log(client, full);
        let status = StatusCode::SERVICE_UNAVAILABLE;
        match full {
            Full::Closed => Refusal::new(status, "No further session"),
            Full::Server | Full::Address => {
                Refusal::new(status, "Too many connections").with(RETRY_AFTER, "10")
            }
        }
    }
}

fn reason(lost: Lost) -> Reason {
    match lost {
        Lost::NoToken => Reason::NoToken,
        Lost::Unknown => Reason::UnknownToken,
        Lost::Guessing => Reason::Guessing,
        Lost::Unavailable => Reason::TokensUnavailable,
    }
}

/// What a client without a way is told.
fn answer(lost: Lost) -> Refusal {
    let refusal = Refusal::new(lost.status(), lost.text());
    match lost {
        Lost::Guessing | Lost::Unavailable => refusal.with(RETRY_AFTER, "5"),
        Lost::NoToken | Lost::Unknown => refusal,
    }
}
