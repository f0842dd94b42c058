//! Sessions that go on in the next process: the manager keeps their sockets and their state from
//! their youth on, so that it does not matter how this process ends.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::{Context, Kept, relate};
use crate::handover::keep::Keep;
use crate::handover::lost::Lost;
use crate::handover::state::{State, Unreadable};
use crate::log::Event;
use crate::relay::Relay;
use crate::server::census::{Census, Seat};
use crate::server::ledger::Line;
use crate::stream::{Socket, Stream};
use crate::systemd::inherited::Left;
use crate::systemd::store::{Name, Store, Stored, Turn};

/// Whether a new session can be kept; it is counted so from now on.
pub(super) fn promise(context: &Context, relay: &mut Relay, line: &Line, seat: &Seat) -> Kept {
    let Some(store) = &context.store else {
        return Kept::Not;
    };
    // The kernel cannot do all that OpenSSL can, so it is not given what is not kept.
    if !relay.can_be_kept() && store.has_room() {
        if let Err(why) = relay.enter_kernel() {
            log::debug!("session {} is not kept: {why}", line.entry.id);
        }
    }
    if !relay.can_be_kept() {
        return Kept::Not;
    }
    seat.promise();
    Kept::Soon
}

/// Has a session kept that was counted so, in its turn. Where that cannot be, it ends with this
/// process.
pub(super) fn keep(
    context: &Context,
    relay: &mut Relay,
    line: &Line,
    seat: &Seat,
    turn: Turn<'_>,
) -> Kept {
    let error = match store(relay, line, turn) {
        Ok(stored) => {
            seat.keep();
            return Kept::Now(stored);
        }
        Err(error) => error,
    };
    relay.let_go();
    if error.kind() == ErrorKind::WouldBlock {
        return Kept::Soon;
    }
    log::debug!("session {} is not kept: {error}", line.entry.id);
    part(context, seat);
    Kept::Not
}

fn store(relay: &mut Relay, line: &Line, turn: Turn<'_>) -> io::Result<Stored> {
    // First of all it is true: nobody may find it otherwise.
    relay.keep(Keep::new(line.entry.clone())?)?;
    let kept = relay.kept().ok_or(ErrorKind::NotConnected)?;
    turn.keep(line.entry.id, kept)
}

/// Ends keeping a session whose state cannot be written any more, before it moves on.
pub(super) async fn unkeep(context: &Context, stored: Stored, seat: &Seat) {
    stored.remove().await;
    part(context, seat);
}

/// Counts a session among those that end with this process. Our exit waits for those that are kept,
/// and for this one, too, where it is under way: it has yet to say goodbye.
fn part(context: &Context, seat: &Seat) {
    if !context.drain.hands_over() {
        seat.let_go();
    }
}

/// Goes on with a session that an earlier process has begun; says whether that is possible. `None`
/// for one that was over. `store` is where it was found, which may be none of this process's own.
pub fn resume(
    left: Left,
    census: &Arc<Census>,
    context: &Arc<Context>,
    store: Option<&Arc<Store>>,
) -> Option<bool> {
    let name = left.name;
    context.monitor.ledger.pass_over(name.number);
    let stored = store.map(|store| store.found(name));
    let Ok((client, found)) = open(left) else {
        tell_lost(name, None, "a part of it is missing");
        return Some(false);
    };
    let context = context.clone();
    match found {
        Ok((state, keep, target)) => {
            let seat = census.return_to(state.entry.client.ip(), context.store.is_some());
            let tally = &state.entry.tally;
            let said = tally.by_client() + tally.for_client();
            let unsaid = said == 0 && state.relay.to_target.is_empty();
            let line = context.monitor.ledger.resume(state.entry);
            let streams = (client, target);
            let (client_name, position) = (line.entry.client, state.relay.recording.clone());
            let recording = context.recorder.as_ref().and_then(|recorder| {
                let recording = match position {
                    Some(position) => recorder.resume(position, &client_name),
                    None if unsaid => recorder.begin(&client_name),
                    // It was not recorded so far, the recording was given up, or a process was killed that
                    // had yet to write it: none is played from its middle.
                    None => {
                        log::info!("session {} goes on without being recorded", name.number);
                        return None;
                    }
                };
                Some(Box::new(recording))
            });
            let settings = context.settings;
            let mut relay = Relay::resume(state.relay, streams, settings, recording, keep);
            tokio::spawn(async move {
                let kept = stored.map_or(Kept::Not, Kept::Now);
                relate(&context, &mut relay, Some(line), kept, &seat).await;
            });
            Some(true)
        }
        Err(lost) if matches!(lost.why, Unreadable::Over) => None,
        Err(lost) => {
            tell_lost(name, Some(&lost), &lost.why.to_string());
            // It ends with us, and our exit waits for that.
            let client_ip = lost.entry.as_ref().and_then(|entry| entry.client.ip());
            let seat = census.return_to(client_ip, false);
            tokio::spawn(async move {
                lost.end(client).await;
                drop((stored, seat));
            });
            Some(false)
        }
    }
}

/// What can be gone on with.
type Found = (State, Keep, Stream);

/// Opens all parts of a session; the inner error is the client's to hear.
fn open(left: Left) -> Result<(Stream, Result<Found, Lost>), ()> {
    let (Some(client), Some(target), Some(state)) = (left.client, left.target, left.state) else {
        return Err(());
    };
    let socket = |it| Socket::try_from(it).map_err(drop);
    let (client, target) = (socket(client)?, socket(target)?);
    Ok(match Keep::reopen(state.into()) {
        Ok((state, keep)) => {
            let client = Stream::resume(client, state.relay.client_tls);
            let target = Stream::resume(target, state.relay.target_tls);
            (client, Ok((state, keep, target)))
        }
        Err(lost) => (Stream::resume(client, lost.client_tls), Err(lost)),
    })
}

fn tell_lost(name: Name, lost: Option<&Lost>, why: &str) {
    let session = name.number;
    let entry = lost.and_then(|lost| lost.entry.as_ref());
    let client = entry.map_or("?".to_owned(), |entry| entry.client.to_string());
    let target = entry.map_or("?".to_owned(), |entry| entry.route.to_string());
    log::warn!(event = Event::Lost, client = client, target = target, session, reason = why;
        "session {session} of client={client} is lost: {why}");
}
