//! One connection, from accept to its record in the log. Read this first.

use std::fmt;
use std::sync::Arc;

use tokio::time::sleep;

use crate::auth::Door;
use crate::drain::Drain;
use crate::http::{self, Site};
use crate::limits;
use crate::listener::Accepted;
use crate::log::{Event, Summary};
use crate::proxies::Proxies;
use crate::proxy_protocol::{self, ProxyVersion};
use crate::reception::Reception;
use crate::relay::{Refused, Relay, Settings};
use crate::server::census::Seat;
use crate::server::turned_away::{TurnedAway, refuse};
use crate::stream::Stream;
use crate::target::Target;
use crate::tls::Tls;
use crate::tls::client::Client;

/// What every connection shares.
#[derive(Debug)]
pub struct Context {
    /// Who may speak for clients.
    pub proxies: Proxies,
    /// The answer where there is no room.
    pub turned_away: TurnedAway,
    /// TLS, where there are certificates.
    pub tls: Option<Tls>,
    /// Who may come in.
    pub door: Door,
    /// What is answered over HTTP.
    pub site: Site,
    /// Where sessions go.
    pub target: Target,
    /// TLS towards the target.
    pub target_tls: Option<Client>,
    /// How the target is told whom a session is from.
    pub announce: Option<ProxyVersion>,
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
    let peer = client.welcome.client;
    let announcement = context.announce.map(|version| {
        let to = caller.to.or_else(|| client.stream.socket().local());
        proxy_protocol::write(version, peer.address(), to)
    });
    let relay = match Box::pin(reach(&context, &peer, announcement, number)).await {
        Ok(target) => Relay::new(client.stream, client.early, target, context.settings),
        Err(why) => Relay::refuse(client.stream, client.early, context.settings, why),
    };
    let summary: Summary = relay.run(drain.clone()).await;
    let identity = client.welcome.identity;
    summary.log(&peer, identity.as_deref(), &context.target, number);
}

/// Connects to the target. A server that ends leaves it a little time, because the client may have
/// sent something already.
async fn reach(
    context: &Context,
    peer: &impl fmt::Display,
    announcement: Option<Vec<u8>>,
    number: u64,
) -> Result<Stream, Refused> {
    let mut drain = context.drain.clone();
    let told_long_ago = async {
        drain.told().await;
        sleep(limits::CLOSE_TIME).await;
    };
    tokio::select! {
        reached = context.target.connect(context.target_tls.as_ref(), announcement) => reached.map_err(|error| {
            let target = &context.target;
            log::warn!(event = Event::Unreachable, client:% = peer, target:%, session = number;
                "cannot connect to {target} for client={peer}: {error}");
            Refused::Unreachable
        }),
        () = told_long_ago => Err(Refused::Shutdown),
    }
}
