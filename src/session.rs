//! One connection, from accept to its record in the log. Read this first.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::auth::Door;
use crate::drain::Drain;
use crate::http::{self, Site};
use crate::limits;
use crate::listener::Accepted;
use crate::log::{Event, Summary};
use crate::meters::Reason;
use crate::proxies::Proxies;
use crate::proxy_protocol::{self, ProxyVersion};
use crate::reception::{Reception, Welcome};
use crate::relay::{Refused, Relay, Settings};
use crate::route::Route;
use crate::server::census::Seat;
use crate::server::monitor::Monitor;
use crate::server::turned_away::{TurnedAway, refuse};
use crate::stream::Stream;
use crate::target::Unreached;
use crate::target::walls::Walls;
use crate::tls::Tls;
use crate::tls::client::Client;
use crate::token::{Found, Guide, Lost};
use crate::websocket::close::Close;

/// What every connection shares.
#[derive(Debug)]
pub struct Context {
    /// Who may speak for clients.
    pub proxies: Proxies,
    /// The answer where there is no room.
    pub turned_away: TurnedAway,
    /// TLS, where there are certificates.
    pub tls: Option<Arc<Tls>>,
    /// Who may come in.
    pub door: Door,
    /// What is answered over HTTP.
    pub site: Site,
    /// Where sessions go.
    pub guide: Guide,
    /// TLS towards targets; always there where a token may ask for it.
    pub target_tls: Option<Client>,
    /// How the target is told whom a session is from.
    pub announce: Option<ProxyVersion>,
    /// Whether TLS is spoken to targets of which nothing else is said.
    pub ssl_target: bool,
    /// Where none goes.
    pub walls: Walls,
    /// The live ones, and what is counted.
    pub monitor: Monitor,
    /// How they are relayed.
    pub settings: Settings,
    /// Given when the server ends.
    pub drain: Drain,
}

/// Serves one client: files while it asks for files, and one session if it asks for that. Returns
/// when the client is gone; `seat` is what it holds of the server's limits meanwhile.
pub async fn run(accepted: Accepted, seat: Seat, context: Arc<Context>) {
    let Accepted { mut socket, peer } = accepted;
    let (site, drain) = (&context.site, &context.drain);
    let Some(caller) = Box::pin(context.proxies.caller(&mut socket, peer)).await else {
        return;
    };
    // A proxy's further requests may be others'; until then it is nobody's connection.
    let owner = caller.peer.ip().filter(|_| !caller.trusted);
    if let Err(full) = seat.belongs_to(owner) {
        context.monitor.meters.refused(full.into());
        drop(seat);
        let refusing = refuse(socket, context.tls.is_some());
        let telling = context.turned_away.tell(&caller.peer, full, refusing);
        return Box::pin(telling).await;
    }
    let stream = match &context.tls {
        // Boxed, as HTTP below: a handshake's state is not an idle session's.
        Some(tls) => Box::pin(tls.open(socket, &caller.peer)).await,
        None => Some(Stream::Plain(socket)),
    };
    let Some(stream) = stream else { return };
    let reception = Reception {
        proxies: &context.proxies,
        turned_away: &context.turned_away,
        door: &context.door,
        guide: &context.guide,
        monitor: &context.monitor,
        caller,
        secure: matches!(stream, Stream::Tls(_)),
        certificate: stream.peer_names(),
        seat: &seat,
    };
    // Boxed, so that an idle session does not keep room for the HTTP it has left behind.
    let conversation = Box::pin(http::converse(stream, site, reception, drain.clone()));
    let Some(client) = conversation.await else {
        return;
    };
    client.stream.forget_answer_deadline();
    let number = seat.session_number();
    let Welcome {
        client: peer,
        identity,
        way,
    } = client.welcome;
    let Found { route, token } = match way {
        Ok(found) => found,
        Err(lost) => {
            let refused = Refused::ByUs(close(lost));
            let relay = Relay::refuse(client.stream, client.early, context.settings, refused);
            relay.run(told(drain.clone(), None, None)).await;
            return;
        }
    };
    let announcement = route.proxy.or(context.announce).map(|version| {
        let to = caller.to.or_else(|| client.stream.socket().local());
        proxy_protocol::write(version, peer.address(), to)
    });
    let shown = (peer.to_string().into(), route.to_string().into());
    let (line, ended) = context
        .monitor
        .ledger
        .enter(shown.0, identity.clone(), shown.1, token);
    let relay = match Box::pin(reach(&context, &route, &peer, announcement, number)).await {
        Ok(target) => Relay::new(
            client.stream,
            client.early,
            target,
            context.settings,
            line.tally.clone(),
        ),
        Err(why) => Relay::refuse(client.stream, client.early, context.settings, why),
    };
    let told = told(drain.clone(), route.until, Some(ended));
    let summary: Summary = relay.run(told).await;
    summary.log(&peer, identity.as_deref(), &route, number);
}

/// Connects to the target. A server that ends leaves it a little time, because the client may have
/// sent something already.
async fn reach(
    context: &Context,
    route: &Route,
    peer: &impl fmt::Display,
    announcement: Option<Vec<u8>>,
    number: u64,
) -> Result<Stream, Refused> {
    let asked = route.tls.unwrap_or(context.ssl_target);
    let tls = context.target_tls.as_ref().filter(|_| asked);
    let mut drain = context.drain.clone();
    let told_long_ago = async {
        drain.told().await;
        sleep(limits::CLOSE_TIME).await;
    };
    let began = Instant::now();
    tokio::select! {
        reached = route.target.connect(tls, &context.walls, announcement) => match reached {
            Ok(target) => {
                context.monitor.meters.reached(began.elapsed());
                Ok(target)
            }
            Err(error) => {
                log::warn!(event = Event::Unreachable, client:% = peer, target:% = route, session = number;
                    "cannot connect to {route} for client={peer}: {error}");
                let (reason, refused) = match error {
                    Unreached::Forbidden(_) => {
                        (Reason::TargetForbidden, Refused::ByUs(Close::FORBIDDEN))
                    }
                    Unreached::Failed(_) => (Reason::TargetUnreachable, Refused::Unreachable),
                };
                context.monitor.meters.refused(reason);
                Err(refused)
            }
        },
        () = told_long_ago => Err(Refused::ByUs(Close::SHUTDOWN)),
    }
}

/// What a client without a way is told by a close frame.
fn close(lost: Lost) -> Close {
    Close {
        code: 4000 + lost.status().as_u16(),
        reason: lost.text().into(),
    }
}

/// Returns when the session is to end, and why.
async fn told(
    mut drain: Drain,
    until: Option<SystemTime>,
    ended: Option<oneshot::Receiver<Close>>,
) -> Close {
    let expired = async {
        match until {
            Some(until) => {
                let left = until.duration_since(SystemTime::now()).unwrap_or_default();
                Box::pin(sleep(left)).await;
            }
            None => pending().await,
        }
    };
    let ordered = async {
        match ended {
            Some(ended) => ended.await.ok(),
            None => None,
        }
    };
    tokio::select! {
        () = drain.told() => Close::SHUTDOWN,
        () = expired => Close::EXPIRED,
        Some(close) = ordered => close,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::told;
    use crate::drain::drain;
    use crate::websocket::close::Close;

    #[tokio::test]
    async fn a_session_ends_by_its_time_by_order_and_with_the_server() {
        let (drainer, drain) = drain();
        let now = SystemTime::now();
        let soon = Some(now + Duration::from_millis(20));
        assert_eq!(told(drain.clone(), soon, None).await, Close::EXPIRED);
        let past = Some(now - Duration::from_secs(1));
        assert_eq!(told(drain.clone(), past, None).await, Close::EXPIRED);
        let (end, ended) = oneshot::channel();
        end.send(Close::ENDED).unwrap();
        let later = Some(now + Duration::from_secs(u32::MAX.into()));
        let order = told(drain.clone(), later, Some(ended));
        assert_eq!(order.await, Close::ENDED);
        // Nobody can give an order any more: that is none.
        let (_, ended) = oneshot::channel();
        let waiting = told(drain.clone(), later, Some(ended));
        assert!(timeout(Duration::from_millis(20), waiting).await.is_err());
        drainer.tell();
        assert_eq!(told(drain, later, None).await, Close::SHUTDOWN);
    }
}
