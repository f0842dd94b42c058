//! One client speaking HTTP/1.1, until it leaves or becomes a WebSocket.
//!
//! hyper reads and bounds the requests. [`files`] serves `--web`, with [`listing`] for a
//! directory without a page. An upgrade may come at any path, after any number of files.

pub mod files;
pub mod frames;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod listing;
mod upgraded;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, LOCATION, SERVER,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::auth::Visitor;
use crate::drain::Drain;
use crate::limits;
use crate::log::Identity;
use crate::log::escape::Escaped;
use crate::meters::OPENMETRICS;
use crate::reception::Reception;
use crate::refusal::Refusal;
use crate::stream::Stream;
use crate::websocket::handshake::{self, Terms};
use crate::websocket::legacy::handshake::brings_more;
pub use upgraded::Upgraded;

use files::Files;
use frames::Frames;
use upgraded::Promise;

/// The body of any answer of ours.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What this port answers over HTTP.
#[derive(Debug, Default)]
pub struct Site {
    /// The files of --web.
    pub files: Option<Files>,
    /// The page at `/` where there are no files: the demo's.
    pub page: Option<&'static str>,
    /// Whether clients without TLS are turned away.
    pub tls_only: bool,
    /// Whether they must show a certificate, which nobody can do for them.
    pub certificates: bool,
    /// Who may show the pages within others.
    pub frames: Option<Frames>,
    /// See [`crate::cli::Options::health_path`].
    pub health_path: Option<String>,
    /// See [`crate::cli::Options::metrics_path`].
    pub metrics_path: Option<String>,
    /// See [`crate::cli::Options::subprotocol`].
    pub subprotocols: Vec<String>,
    /// See [`crate::cli::Options::legacy_protocols`].
    pub legacy_protocols: bool,
}

/// Serves one client. Returns when it has become a WebSocket, or `None` when it has left, broke
/// the protocol or took too long. `reception` judges what is not refused in any case.
pub async fn converse(
    stream: Stream,
    site: &Site,
    reception: Reception<'_>,
    mut drain: Drain,
) -> Option<Upgraded> {
    let promised = Mutex::new(None);
    let asked = Notify::new();
    let peer = reception.caller.peer;
    let service = service_fn(async |request: Request<Incoming>| {
        asked.notify_one();
        let has_body = !request.body().is_end_stream();
        let mut request = request.map(|_| ());
        let websocket = handshake::is_asked_for(&request);
        let more = has_body || brings_more(request.headers());
        let visitor = match reception.visitor(&request) {
            Ok(visitor) => visitor,
            Err(refusal) => {
                let response = site.sign(refused(refusal), false);
                return Ok(if more || websocket {
                    last(response)
                } else {
                    response
                });
            }
        };
        // What a proxy says of TLS is no certificate.
        let safe = visitor.secure && (reception.secure || !site.certificates);
        let turned_away = site.tls_only && !safe;
        let (mut response, identity) = match (turned_away, websocket) {
            (true, true) => nobody(text(
                StatusCode::FORBIDDEN,
                "This port takes TLS only: use wss://",
            )),
            (true, false) => nobody(to_https(&request)),
            // What follows would be a body to one reader and frames to another.
            (false, true) if has_body => nobody(text(
                StatusCode::BAD_REQUEST,
                "A request for a WebSocket has no body",
            )),
            (false, true) => {
                let promised = &promised;
                site.upgrade(&mut request, &reception, &visitor, promised)
                    .await
            }
            (false, false) => site.respond(&request, &reception, &visitor).await,
        };
        log::debug!(
            "request client={}{} method={} path=\"{}\" status={}",
            visitor.peer,
            Identity(identity.as_deref()),
            Escaped(request.method().as_str()),
            // The query may hold a token.
            Escaped(&reception.guide.shown_path(&request)),
            response.status().as_u16()
        );
        let is_last = match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => false,
            StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED => more || websocket,
            // Who was turned away may come again, with a password.
            _ => more,
        };
        if is_last {
            response = last(response);
        }
        Ok::<_, Infallible>(site.sign(response, safe))
    });
    let ended = {
        let connection = reader()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let let_go = async {
            drain.told().await;
            // A connection that has just come in would be closed, and its request be lost, though
            // the next process could have answered it.
            if drain.has_successor() {
                let _ = timeout(limits::FIRST_REQUEST_TIME, asked.notified()).await;
            }
        };
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = let_go => {
                // The answer under way is finished, then the client is let go.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        log::debug!("request client={peer} failed: {error}");
        return None;
    }
    let promise = promised
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)?;
    promise.keep(&mut drain).await
}

/// How requests are read.
fn reader() -> http1::Builder {
    let mut reader = http1::Builder::new();
    reader
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_HEAD_TIME)
        .max_buf_size(limits::REQUEST_HEAD_SIZE)
        .max_headers(limits::REQUEST_HEADERS)
        .title_case_headers(true)
        // A client may say that it has no further request before it reads its answer.
        .half_close(true);
    reader
}

/// An answer, and whose it is if that was asked.
type Answer = (Response<Body>, Option<Box<str>>);

/// An answer that is anybody's.
fn nobody(response: Response<Body>) -> Answer {
    (response, None)
}

impl Site {
    async fn upgrade(
        &self,
        request: &mut Request<()>,
        reception: &Reception<'_>,
        visitor: &Visitor,
        promised: &Mutex<Option<Promise>>,
    ) -> Answer {
        let terms = Terms {
            subprotocols: &self.subprotocols,
            legacy: self.legacy_protocols,
            secure: visitor.secure,
        };
        let agreed = match handshake::answer(request, terms) {
            Ok(agreed) => agreed,
            Err(refusal) => return nobody(refused(refusal)),
        };
        let welcome = match reception.receive(visitor, request).await {
            Ok(welcome) => welcome,
            Err(refusal) => return nobody(refused(refusal)),
        };
        let identity = welcome.identity.clone();
        let promise = Promise {
            upgrade: upgrade::on(request),
            framing: agreed.framing,
            challenge: agreed.challenge,
            welcome,
        };
        *promised.lock().unwrap_or_else(PoisonError::into_inner) = Some(promise);
        (agreed.answer.map(|()| empty()), identity)
    }

    async fn respond(
        &self,
        request: &Request<()>,
        reception: &Reception<'_>,
        visitor: &Visitor,
    ) -> Answer {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && self.health_path.as_deref() == Some(path) {
            return nobody(text(StatusCode::OK, "ok"));
        }
        if reads && self.metrics_path.as_deref() == Some(path) {
            let mut response = Response::new(full(reception.monitor.openmetrics()));
            let kind = HeaderValue::from_static(OPENMETRICS);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            return nobody(response);
        }
        if self.files.is_none() && self.page.is_none() {
            return nobody(refused(method_not_allowed("")));
        }
        if !reads {
            return nobody(refused(method_not_allowed("GET, HEAD")));
        }
        let admitted = match reception.receive_reader(visitor, request).await {
            Ok(admitted) => admitted,
            Err(refusal) => return nobody(refused(refusal)),
        };
        let mut response = match (&self.files, self.page) {
            (Some(files), _) => files.respond(request).await,
            (None, Some(page)) if path == "/" => html(page),
            (None, _) => text(StatusCode::NOT_FOUND, "Not Found"),
        };
        if let Some(cookie) = admitted.cookie {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        (response, admitted.identity)
    }

    /// What every answer says of us: who, but not which version; that types are not guesses; and
    /// who may frame it. Where plain clients are turned away, browsers that are `safe` are told
    /// not to try it (RFC 6797).
    fn sign(&self, mut response: Response<Body>, safe: bool) -> Response<Body> {
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("websockify"));
        if self.tls_only && safe {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(STRICT_TRANSPORT_SECURITY, year);
        }
        if !switching {
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            if let Some(frames) = &self.frames {
                frames.sign(headers);
            }
        }
        response
    }
}

/// The same address by https, where there is one to name.
fn to_https(request: &Request<()>) -> Response<Body> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let to = host.filter(|_| reads && path.starts_with('/'));
    match to.map(|host| HeaderValue::try_from(format!("https://{host}{path}"))) {
        Some(Ok(to)) => {
            let mut response = text(StatusCode::PERMANENT_REDIRECT, "This port takes TLS only");
            response.headers_mut().insert(LOCATION, to);
            response
        }
        _ => text(
            StatusCode::FORBIDDEN,
            "This port takes TLS only: use https://",
        ),
    }
}

fn refused(refusal: Refusal) -> Response<Body> {
    let mut response = text(refusal.status, &refusal.text);
    response.headers_mut().extend(refusal.headers);
    response
}

/// Nothing behind it is a request: it is a body, whose end a proxy in between may see elsewhere, or comes
/// from who knows no better what a WebSocket is, and may take this one for open.
fn last(mut response: Response<Body>) -> Response<Body> {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// The answer to a request for a file where none are served, or to one that would change a file.
fn method_not_allowed(allow: &'static str) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").with(ALLOW, allow)
}

/// A page of ours, which needs nothing from elsewhere.
fn html(page: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(page));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
             img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'self'",
        ),
    );
    response
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(full(format!("{text}\n")));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
