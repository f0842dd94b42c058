//! Where a request is let in or turned away: first who it is, and only then anything that costs
//! work or tells a stranger something.

use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};

use crate::auth::{Door, Visitor, Wants};
use crate::refusal::Refusal;
use crate::server::census::Seat;

/// Receives one client's requests.
#[derive(Debug)]
pub struct Reception<'c> {
    /// Who may come in.
    pub door: &'c Door,
    /// Who is at the other end.
    pub visitor: Visitor,
    /// What it holds of the server's limits.
    pub seat: &'c Seat,
}

/// A client gets what it asked for.
#[derive(Debug)]
pub struct Welcome {
    /// Who it is, if that was asked.
    pub identity: Option<Box<str>>,
    /// A cookie to set with a page.
    pub cookie: Option<HeaderValue>,
}

impl Reception<'_> {
    /// Judges a request.
    ///
    /// # Errors
    /// The answer for a client that does not get what it wants.
    pub async fn receive(&self, request: &Request<()>, wants: Wants) -> Result<Welcome, Refusal> {
        let admitted = self.door.judge(&self.visitor, request, wants).await?;
        if wants == Wants::WebSocket && !self.seat.begin_session() {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Refusal::new(status, "No further session"));
        }
        Ok(Welcome {
            identity: admitted.identity,
            cookie: admitted.cookie,
        })
    }
}
