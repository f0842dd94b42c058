//! Where a request is let in or turned away: first who it is, and only then anything that costs
//! work or tells a stranger something.

use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};

use crate::auth::{Admitted, Door, Visitor, Wants};
use crate::refusal::Refusal;
use crate::route::Route;
use crate::server::census::Seat;
use crate::token::{Guide, Lost};

/// Receives one client's requests.
#[derive(Debug)]
pub struct Reception<'c> {
    /// Who may come in.
    pub door: &'c Door,
    /// Where sessions go.
    pub guide: &'c Guide,
    /// Who is at the other end.
    pub visitor: Visitor,
    /// What it holds of the server's limits.
    pub seat: &'c Seat,
}

/// A client gets its session.
#[derive(Debug)]
pub struct Welcome {
    /// Who it is, if that was asked.
    pub identity: Option<Box<str>>,
    /// Where it goes.
    pub route: Route,
}

impl Reception<'_> {
    /// Judges a request for a page.
    ///
    /// # Errors
    /// The answer for a client that does not get it.
    pub async fn receive_reader(&self, request: &Request<()>) -> Result<Admitted, Refusal> {
        let (visitor, target) = (&self.visitor, self.guide.target());
        self.door.judge(visitor, request, Wants::Page, target).await
    }

    /// Judges a request for a session.
    ///
    /// # Errors
    /// The answer for a client that does not get one.
    pub async fn receive(&self, request: &Request<()>) -> Result<Welcome, Refusal> {
        let (visitor, target) = (&self.visitor, self.guide.target());
        let wants = Wants::WebSocket;
        let mut admitted = self.door.judge(visitor, request, wants, target).await?;
        let found = self.guide.find(&self.visitor.peer, request).await;
        let route = found.map_err(answer)?;
        if target.is_none() {
            let authorised = self.door.authorise(visitor, request, &route.target).await?;
            admitted.identity = admitted.identity.or(authorised.identity);
        }
        if !self.seat.begin_session() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Refusal::new(status, "No further session"));
        }
        Ok(Welcome {
            identity: admitted.identity,
            route,
        })
    }
}

/// What a client without a way is told.
fn answer(lost: Lost) -> Refusal {
    match lost {
        Lost::NoToken => Refusal::new(StatusCode::FORBIDDEN, "This address needs a token"),
        Lost::Unknown => Refusal::new(
            StatusCode::NOT_FOUND,
            "The token is not known: it may be mistyped, revoked or out of date",
        ),
        Lost::Unavailable => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Tokens cannot be looked up at the moment",
        )
        .with(RETRY_AFTER, "5"),
    }
}
