//! Where a request is let in or turned away: first who it is, and only then anything that costs
//! work or tells a stranger something.

use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode};

use crate::auth::{Admitted, Door, Visitor, Wants};
use crate::meters::Reason;
use crate::refusal::Refusal;
use crate::server::census::Seat;
use crate::server::monitor::Monitor;
use crate::token::{Found, Guide, Lost};

/// Receives one client's requests.
#[derive(Debug)]
pub struct Reception<'c> {
    /// Who may come in.
    pub door: &'c Door,
    /// Where sessions go.
    pub guide: &'c Guide,
    /// Where refusals are counted.
    pub monitor: &'c Monitor,
    /// Who is at the other end.
    pub visitor: Visitor,
    /// What it holds of the server's limits.
    pub seat: &'c Seat,
}

/// A client gets its session, or at least a word about why it has none.
#[derive(Debug)]
pub struct Welcome {
    /// Who it is, if that was asked.
    pub identity: Option<Box<str>>,
    /// Where it goes.
    pub way: Result<Found, Lost>,
}

impl Reception<'_> {
    /// Judges a request for a page.
    ///
    /// # Errors
    /// The answer for a client that does not get it.
    pub async fn receive_reader(&self, request: &Request<()>) -> Result<Admitted, Refusal> {
        self.ask_door(request, Wants::Page).await
    }

    /// Judges a request for a session.
    ///
    /// # Errors
    /// The answer for a client that does not get one.
    pub async fn receive(&self, request: &Request<()>) -> Result<Welcome, Refusal> {
        let admitted = self.ask_door(request, Wants::WebSocket).await?;
        let way = self.guide.find(&self.visitor.peer, request).await;
        if let Err(lost) = &way {
            self.monitor.meters.refused(reason(*lost));
        }
        match way {
            Err(lost) if !self.guide.closes() => return Err(answer(lost)),
            Ok(_) if !self.seat.begin_session() => {
                self.monitor.meters.refused(Reason::NoFurtherSession);
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Err(Refusal::new(status, "No further session"));
            }
            _ => {}
        }
        Ok(Welcome {
            identity: admitted.identity,
            way,
        })
    }

    async fn ask_door(&self, request: &Request<()>, wants: Wants) -> Result<Admitted, Refusal> {
        let judged = self.door.judge(&self.visitor, request, wants).await;
        judged.inspect_err(|_| self.monitor.meters.refused(Reason::Door))
    }
}

fn reason(lost: Lost) -> Reason {
    match lost {
        Lost::NoToken => Reason::NoToken,
        Lost::Unknown => Reason::UnknownToken,
        Lost::Unavailable => Reason::TokensUnavailable,
    }
}

/// What a client without a way is told.
fn answer(lost: Lost) -> Refusal {
    let refusal = Refusal::new(lost.status(), lost.text());
    match lost {
        Lost::Unavailable => refusal.with(RETRY_AFTER, "5"),
        Lost::NoToken | Lost::Unknown => refusal,
    }
}
