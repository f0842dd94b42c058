//! One connection, from accept to its record in the log. Read this first.

mod kept;
mod told;

use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep};

use crate::auth::Door;
use crate::drain::{Drain, Word};
use crate::flash;
use crate::http::{self, Site, Upgraded};
use crate::limits;
use crate::listener::Accepted;
use crate::log::Event;
use crate::meters::Reason;
use crate::proxies::Proxies;
use crate::proxy_protocol::{self, ProxyVersion};
use crate::reception::{Reception, Welcome};
use crate::record::Recorder;
use crate::relay::{Client, Outcome, Refused, Relay, Settings};
use crate::route::Route;
use crate::server::census::Seat;
use crate::server::ledger::Line;
use crate::server::monitor::Monitor;
use crate::server::turned_away::{TurnedAway, refuse};
use crate::stream::Stream;
use crate::systemd::store::{Store, Stored, Turn};
use crate::target::Unreached;
use crate::target::sources::Sources;
use crate::target::walls::Walls;
use crate::tls::Tls;
use crate::tls::client::Client as TargetTls;
use crate::token::{Guide, Lost};
use crate::websocket::close::Close;
use crate::wrap::Program;
pub use kept::resume;

use kept::{keep, promise, unkeep};
use told::told;

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
    pub target_tls: Option<TargetTls>,
    /// The program that the target belongs to, if it is wrapped.
    pub program: Option<Program>,
    /// How the target is told whom a session is from.
    pub announce: Option<ProxyVersion>,
    /// Whether TLS is spoken to targets of which nothing else is said.
    pub ssl_target: bool,
    /// Where none goes.
    pub walls: Walls,
    /// From which addresses of this machine.
    pub sources: Sources,
    /// The live ones, and what is counted.
    pub monitor: Monitor,
    /// How they are relayed.
    pub settings: Settings,
    /// Where they are kept for our successor, if anywhere.
    pub store: Option<Arc<Store>>,
    /// What copies them into files, if asked for.
    pub recorder: Option<Recorder>,
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
    if site.legacy_protocols {
        let Some(other) = Box::pin(flash::serve(socket)).await else {
            return;
        };
        socket = other;
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
    // Boxed for the same reason.
    let (mut relay, line) = Box::pin(join(&context, client, caller.to)).await;
    let kept = match &line {
        Some(line) => promise(&context, &mut relay, line, &seat),
        None => Kept::Not,
    };
    relate(&context, &mut relay, line, kept, &seat).await;
}

/// Whether the next process can go on with a session.
#[derive(Debug)]
enum Kept {
    Not,
    /// Once it has lived for [`limits::SESSION_YOUNG`], in its turn.
    Soon,
    Now(Stored),
}

/// Relays to the session's end, of which there is a record, or until the next process goes on with
/// it.
async fn relate(
    context: &Context,
    relay: &mut Relay,
    mut line: Option<Line>,
    mut kept: Kept,
    seat: &Seat,
) {
    let summary = loop {
        let (until, ended) = match &mut line {
            Some(line) => (line.entry.route.until, Some(&mut line.ended)),
            None => (None, None),
        };
        // One that can be handed over hears the word for that by `left` alone.
        let last = match kept {
            Kept::Not => Word::Part,
            // By then it should have been given away.
            Kept::Soon => Word::HandOver,
            Kept::Now(_) => Word::End,
        };
        let outcome = {
            let told = pin!(told(context.drain.clone(), last, until, ended));
            let mut drain = context.drain.clone();
            let left = pin!(async {
                if drain.reaches(Word::HandOver).await == Word::End {
                    pending::<()>().await;
                }
            });
            let soon = matches!(kept, Kept::Soon);
            tokio::select! {
                biased;
                // First: a turn that one is given and does not take is everybody's who waits behind it, and a
                // busy relay uses up all that the runtime lets its task do.
                turn = grown(context), if soon => Err(turn),
                outcome = relay.run(told, left) => Ok(outcome),
            }
        };
        kept = match (outcome, kept, &line) {
            (Ok(Outcome::Over(summary)), ..) => break summary,
            (Ok(Outcome::Left), Kept::Now(stored), _) => return stored.leave(),
            (Ok(Outcome::Left), ..) => return,
            (Ok(Outcome::Unkept), Kept::Now(stored), _) => {
                Box::pin(unkeep(context, stored, seat)).await;
                Kept::Not
            }
            (Err(turn), _, Some(line)) => keep(context, relay, line, seat, turn),
            (Ok(Outcome::Unkept) | Err(_), ..) => Kept::Not,
        };
    };
    if let Some(Line { entry, .. }) = &line {
        summary.log(
            &entry.client,
            entry.identity.as_deref(),
            &entry.route,
            entry.id,
        );
    }
}

/// Returns when a session is to be kept and the service manager listens: it has grown up, or the
/// process ends and another follows.
async fn grown(context: &Context) -> Turn<'_> {
    let Some(store) = &context.store else {
        return pending().await;
    };
    let mut drain = context.drain.clone();
    // Boxed as well: most of its life a session is past it.
    Box::pin(async {
        let ends = async {
            if drain.reaches(Word::Part).await == Word::End {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep(limits::SESSION_YOUNG) => {}
            () = ends => {}
        }
        store.turn().await
    })
    .await
}

/// Joins a client and its target, or gives it a word about why there is none. Only who has a way is
/// written down. `to` is where the client came to, if a proxy has said so.
async fn join(
    context: &Context,
    client: Upgraded,
    to: Option<SocketAddr>,
) -> (Relay, Option<Line>) {
    let Upgraded {
        stream,
        early,
        framing,
        welcome:
            Welcome {
                client: peer,
                identity,
                way,
            },
    } = client;
    let mut client = Client {
        stream,
        early,
        framing,
        recording: None,
    };
    let settings = context.settings;
    let found = match way {
        Ok(found) => found,
        Err(lost) => {
            let why = Refused::ByUs(close(lost));
            return (Relay::refuse(client, settings, why), None);
        }
    };
    let line = context.monitor.ledger.enter(peer, identity, found);
    let route = &line.entry.route;
    let announcement = route.proxy.or(context.announce).map(|version| {
        let to = to.or_else(|| client.stream.socket().local());
        proxy_protocol::write(version, peer.address(), to)
    });
    let recorder = context.recorder.as_ref();
    client.recording = recorder.map(|recorder| Box::new(recorder.begin(&peer)));
    let relay = match reach(context, route, &peer, announcement, line.entry.id).await {
        Ok(target) => Relay::new(client, target, settings, line.entry.tally.clone()),
        Err(why) => Relay::refuse(client, settings, why),
    };
    (relay, Some(line))
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
    // A wrapped program may take more than one attempt, and each announces the client.
    let connect = || {
        route
            .target
            .connect(tls, &context.walls, &context.sources, announcement.clone())
    };
    let connecting = async {
        match &context.program {
            Some(program) => program.patiently(connect).await,
            None => connect().await,
        }
    };
    tokio::select! {
        reached = connecting => match reached {
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
                    Unreached::Failed(_) => {
                        let close = match &context.program {
                            Some(program) if program.is_over() => Close::PROGRAM_OVER,
                            Some(_) => Close::NOT_READY,
                            None => Close::CONNECT_FAILED,
                        };
                        (Reason::TargetUnreachable, Refused::ByTarget(close))
                    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Context, run};
    use crate::listener::Accepted;
    use crate::relay::Relay;
    use crate::server::census::Seat;

    /// How large what a function returns is.
    fn size<A, B, C, R>(_: impl Fn(A, B, C) -> R) -> usize {
        size_of::<R>()
    }

    /// A session's task holds them for as long as it lives, and each way that it is handed on copies
    /// them.
    #[test]
    fn is_small() {
        let sizes = [
            size::<Accepted, Seat, Arc<Context>, _>(run),
            size_of::<Relay>(),
        ];
        let most = [2400, 512]; // 2200 and 480, with room for another compiler
        let small = sizes.iter().zip(most).all(|(size, most)| *size <= most);
        assert!(small, "{sizes:?} bytes, and at the most {most:?}");
    }
}
