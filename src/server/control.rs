//! The control socket: HTTP for this machine's administrator, over a Unix socket.
//!
//! `GET /sessions` lists, `DELETE /sessions?…` ends, `GET /stats` and `GET /metrics` count.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::hall::Hall;
use super::ledger::{Entry, Which};
use crate::limits;
use crate::listener::{Accepted, Listener, Peer};
use crate::log::Throttle;
use crate::meters::OPENMETRICS;
use crate::stream::Stream;
use crate::token::Mark;

/// Answers for as long as it is polled.
pub(super) async fn keep(hall: Arc<Hall>, listener: Option<Listener>) {
    let Some(listener) = listener else {
        return pending().await;
    };
    let failures = Throttle::default();
    let turns = Arc::new(Semaphore::new(limits::CONTROL_CONNECTIONS));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok(accepted) => {
                let hall = hall.clone();
                tokio::spawn(async move {
                    let _ = timeout(limits::CONTROL_TIME, serve(hall, accepted)).await;
                    drop(turn);
                });
            }
            Err(error) => {
                if let Some(more) = failures.pass() {
                    log::warn!("cannot accept on the control socket: {error}{more}");
                }
                sleep(limits::ACCEPT_COOLDOWN).await;
            }
        }
    }
}

async fn serve(hall: Arc<Hall>, accepted: Accepted) {
    let Accepted { socket, peer } = accepted;
    if !may(&peer) {
        log::warn!("control socket: client={peer} is neither root nor our own user");
        return;
    }
    let service = service_fn(async |request: Request<Incoming>| {
        let response = answer(&hall, &peer, &request.map(|_| ()));
        Ok::<_, Infallible>(response)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(limits::REQUEST_HEAD_SIZE)
        .serve_connection(TokioIo::new(Stream::Plain(socket)), service);
    if let Err(error) = served.await {
        log::debug!("control socket: client={peer}: {error}");
    }
}

/// Whoever is root may do anything, and our own user may do to us whatever it likes in any case.
fn may(peer: &Peer) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    matches!(peer, Peer::Unix { uid: Some(uid), .. } if *uid == 0 || *uid == ours)
}

fn answer(hall: &Hall, peer: &Peer, request: &Request<()>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/sessions") => {
            let entries = hall.context.monitor.ledger.list();
            let entries: Vec<Value> = entries.iter().map(|entry| show(entry)).collect();
            json(StatusCode::OK, &json!({ "sessions": entries }))
        }
        (&Method::DELETE, "/sessions") => match meant(query) {
            Ok(which) => {
                let ended = hall.context.monitor.ledger.end(&which);
                log::info!("control socket: client={peer} ended {ended} sessions");
                json(StatusCode::OK, &json!({ "ended": ended }))
            }
            Err(fault) => json(StatusCode::BAD_REQUEST, &json!({ "error": fault })),
        },
        (&Method::GET, "/stats") => json(StatusCode::OK, &stats(hall)),
        (&Method::GET, "/metrics") => {
            let text = hall.context.monitor.openmetrics();
            let mut response = Response::new(Full::from(text));
            let kind = HeaderValue::from_static(OPENMETRICS);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => json(
            StatusCode::NOT_FOUND,
            &json!({ "error": "there are /sessions, /stats and /metrics" }),
        ),
    }
}

fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value:#}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn show(entry: &Entry) -> Value {
    let since = entry.since.duration_since(UNIX_EPOCH).unwrap_or_default();
    let age = SystemTime::now().duration_since(entry.since);
    json!({
        "id": entry.id,
        "client": entry.client.to_string(),
        "identity": entry.identity,
        "target": entry.route.to_string(),
        "token": entry.token.map(|mark| mark.to_string()),
        "since": since.as_secs(),
        "seconds": age.unwrap_or_default().as_secs(),
        "from_client": entry.tally.by_client(),
        "to_client": entry.tally.for_client(),
    })
}

fn stats(hall: &Hall) -> Value {
    let now = hall.context.monitor.now();
    let refused: serde_json::Map<String, Value> = hall
        .context
        .monitor
        .meters
        .refusals()
        .map(|(reason, count)| (reason.to_owned(), count.into()))
        .collect();
    let certificates = now.certificates.iter();
    json!({
        "target": hall.context.guide.to_string(),
        "connections": now.connections,
        "sessions": now.sessions,
        "served": now.served,
        "from_clients": now.moved.0,
        "to_clients": now.moved.1,
        "refused": refused,
        "certificates": certificates
            .map(|(names, until)| json!({ "names": names, "expires": until }))
            .collect::<Vec<_>>(),
    })
}

/// Reads `id=`, `token=` (its mark) and `target=`, of which there must be one.
fn meant(query: &str) -> Result<Which, &'static str> {
    let mut which = Which::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_decode_str(value).decode_utf8_lossy();
        match name {
            "id" => which.id = Some(value.parse().map_err(|_| "id is not a number")?),
            "token" => {
                let mark = Mark::parse(&value);
                which.token = Some(mark.ok_or("token is not the first 16 digits of its SHA-256")?);
            }
            "target" => which.target = Some(value.into_owned()),
            _ => return Err("there are id, token and target"),
        }
    }
    if which == Which::default() {
        return Err("give an id, a token or a target");
    }
    Ok(which)
}
