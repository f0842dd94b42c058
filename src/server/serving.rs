//! The time between a start and an end: clients are let in, and told when to leave.

use std::pin::pin;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ends::{Signals, Why, after, begun, empty, ended, idle, parted};
use super::hall::Hall;
use super::material::Material;
use super::{control, leaving, memory, reload};
use crate::config::Service;
use crate::daemon::Daemon;
use crate::drain::drain;
use crate::error::Failure;
use crate::listener::{Accepted, Door, Listener};
use crate::log::Event;
use crate::sandbox::Sandbox;
use crate::systemd::inherited::Left;
use crate::systemd::notify;
use crate::wrap::Supervised;

const IDLE: &str = "--idle-timeout";

/// Serves until something ends that, and says with which exit status.
///
/// # Errors
/// What a helper or a token source says against a start.
pub(super) async fn serve(
    service: Service,
    (doors, left): (Vec<Door>, Vec<Left>),
    mut material: Material,
    (supervised, sandbox): (Option<Supervised>, Sandbox),
    daemon: Option<Daemon>,
) -> Result<u8, Failure> {
    let mut signals = Signals::new().map_err(cannot("cannot watch for signals"))?;
    let hangup = signal(SignalKind::hangup()).map_err(cannot("cannot watch for signals"))?;
    let (drainer, drain) = drain();
    let stamp = std::mem::take(&mut material.stamp);
    let (timeouts, once) = ((service.timeout, service.idle_timeout), service.run_once);
    let patience = service.drain_timeout;
    let control = material.control.take();
    let entered = supervised.map(Supervised::enter).transpose();
    let (own, keeper) = entered.map_err(cannot("cannot wrap a program"))?.unzip();
    let hall = material.hall(service, own, sandbox, drain.clone())?;
    let control = match control {
        Some(Door::Listening(socket, bound)) => {
            Some(Listener::new(socket, bound).map_err(cannot("cannot listen"))?)
        }
        _ => None,
    };
    let starting = async {
        hall.context.door.start().await?;
        hall.context.guide.start().await
    };
    tokio::select! {
        started = starting => started?,
        _ = signals.next() => return Ok(0),
    }
    hall.resume(left);
    let kept = keeper.map(|keeper| keeper.begin(drain));
    let listeners = open(doors, &hall)?;
    let target = hall.context.guide.to_string();
    log::info!(event = Event::Ready, target; "bridging to {target}");
    log::info!(event = Event::Sandbox, sandbox = hall.sandbox.summary(); "{}", hall.sandbox);

    let mut counts = hall.census.watch();
    let only_one = listeners.is_empty();
    let mut time_is_up = pin!(after(timeouts.0));
    let served = Notify::new();
    let program = hall.context.program.as_ref();
    let report = async {
        if let Some(program) = program {
            notify::status(&hall.status());
            program.settled().await;
        }
        let status = hall.status();
        notify::ready(&status);
        served.notify_one();
        if let Err(failure) = daemon.map_or(Ok(()), Daemon::ready) {
            // Who started it has left, so nobody wants it.
            return log::error!("{failure}");
        }
        hall.report(status).await;
    };
    let reload = async {
        // It ends in READY=1 as well, which is not to come before the first; SIGHUP waits meanwhile.
        served.notified().await;
        reload::keep(hall.context.clone(), hangup, stamp, |outcome| {
            hall.reloaded(outcome)
        })
        .await;
    };
    let mut upkeep = pin!(async {
        tokio::select! {
            () = report => {}
            () = hall.context.guide.keep() => {}
            () = control::keep(hall.clone(), control) => {}
            () = reload => {}
            () = memory::keep(hall.census.watch()) => {}
        }
    });
    let mut lost = pin!(async {
        tokio::select! {
            () = hall.context.door.lost() => {}
            () = hall.context.guide.lost() => {}
        }
    });
    // While we wait for sessions that end with us, and serve: until when.
    let mut parting = None;
    let why = loop {
        let mut doorkeepers = JoinSet::new();
        for (listener, beat) in listeners.iter().zip(hall.pulse.of(listeners.len())) {
            doorkeepers.spawn(hall.clone().keep(listener.clone(), beat));
        }
        let why = tokio::select! {
            () = &mut time_is_up => Why::Option("--timeout"),
            () = idle(timeouts.1, counts.clone()) => Why::Option(IDLE),
            () = begun(once, counts.clone()) => Why::Option("--run-once"),
            () = empty(only_one, counts.clone()) => Why::Option("--inetd"),
            status = ended(program) => Why::Program(status),
            () = &mut lost => Why::Lost,
            () = hall.linger(false), if only_one => Why::Told,
            told = signals.next() => told,
            () = parted(parting, counts.clone()) => Why::Restart,
            () = hall.keep_patient(), if parting.is_some() => Why::Told,
            () = &mut upkeep => Why::Told,
        };
        // First nobody new, then the farewell: who comes now finds the next server, or none.
        doorkeepers.shutdown().await;
        match why {
            // Whoever came in the moment of an idle exit is served as if it had not been.
            Why::Option(IDLE) if counts.borrow().connections > 0 => {}
            Why::Restart if parting.is_none() && hall.hands_over() => {
                parting = Some(Instant::now() + patience);
                hall.part();
            }
            why => break why,
        }
    };
    drop(listeners);
    if let Why::Option(option) = why {
        hall.census.close();
        log::info!(event = Event::Ending, option; "ending by {option}");
        tokio::select! {
            _ = counts.wait_for(|counts| counts.sessions == 0) => {}
            _ = signals.next() => {}
            () = &mut upkeep => {}
            () = hall.linger(false) => {}
        }
    }
    Ok(leaving::leave(why, &hall, &drainer, &mut signals, kept).await)
}

/// Starts to listen, and lets in who is connected already.
fn open(doors: Vec<Door>, hall: &Arc<Hall>) -> Result<Vec<Arc<Listener>>, Failure> {
    let mut listeners = Vec::new();
    for door in doors {
        match door {
            Door::Listening(socket, bound) => {
                let listener = Listener::new(socket, bound).map_err(cannot("cannot listen"))?;
                log::info!("listening on {listener}");
                listeners.push(Arc::new(listener));
            }
            Door::Connected(socket) => {
                let accepted = Accepted::new(socket).map_err(cannot("--inetd"))?;
                hall.admit(accepted);
            }
        }
    }
    Ok(listeners)
}

fn cannot(what: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::start(format!("{what}: {error}"))
}
