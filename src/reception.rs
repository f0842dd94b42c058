//! Where a request is let in or turned away: first who it is, and only then anything that costs
//! work or tells a stranger something.

use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};

use crate::auth::{Door, Visitor, Wants};
use crate::listener::Peer;
use crate::proxies::{Caller, Proxies};
use crate::refusal::Refusal;
use crate::server::census::{Full, Seat};
use crate::server::turned_away::TurnedAway;
use crate::tls::peer::Names;

/// Receives one client's requests.
#[derive(Debug)]
pub struct Reception<'c> {
    /// Who may speak for others.
    pub proxies: &'c Proxies,
    /// Keeps book of those there is no room for.
    pub turned_away: &'c TurnedAway,
    /// Who may come in.
    pub door: &'c Door,
    /// Who is at the other end.
    pub caller: Caller,
    /// Whether there is TLS in between.
    pub secure: bool,
    /// The names in the certificate that TLS verified.
    pub certificate: Option<Names>,
    /// What it holds of the server's limits.
    pub seat: &'c Seat,
}

/// A client gets what it asked for.
#[derive(Debug)]
pub struct Welcome {
    /// Where it is.
    pub client: Peer,
    /// Who it is, if that was asked.
    pub identity: Option<Box<str>>,
    /// A cookie to set with a page.
    pub cookie: Option<HeaderValue>,
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

    /// Judges a request.
    ///
    /// # Errors
    /// The answer for a client that does not get what it wants.
    pub async fn receive(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        wants: Wants,
    ) -> Result<Welcome, Refusal> {
        let admitted = self.door.judge(visitor, request, wants).await?;
        if wants == Wants::WebSocket {
            let begun = self.seat.begin_session(visitor.peer.ip());
            begun.map_err(|full| self.no_room(&visitor.peer, full))?;
        }
        Ok(Welcome {
            client: visitor.peer,
            identity: admitted.identity,
            cookie: admitted.cookie,
        })
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
