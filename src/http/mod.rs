//! One client speaking HTTP/1.1, until it leaves or becomes a WebSocket.
//!
//! hyper reads and bounds the requests. [`files`] serves `--web`, with [`listing`] for a
//! directory without a page. An upgrade may come at any path, after any number of files.

pub mod files;
mod listing;
mod walk;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, LOCATION, SERVER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{self, OnUpgrade};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::drain::Drain;
use crate::limits;
use crate::log::escape::Escaped;
use crate::stream::Stream;
use crate::websocket::handshake::{self, Refusal};
use files::Files;

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
    /// See [`crate::cli::Options::health_path`].
    pub health_path: Option<String>,
    /// See [`crate::cli::Options::subprotocol`].
    pub subprotocols: Vec<String>,
}

/// A client that has become a WebSocket: its stream, and what it sent behind the request.
#[derive(Debug)]
pub struct Upgraded {
    /// The raw stream again.
    pub stream: Stream,
    /// Bytes that were read with the request.
    pub early: Bytes,
}

/// Serves one client. Returns when it has become a WebSocket, or `None` when it has left, broke
/// the protocol or took too long. `admit` is asked before a WebSocket is promised.
pub async fn converse(
    stream: Stream,
    peer: &impl fmt::Display,
    site: &Site,
    admit: impl Fn() -> bool,
    mut drain: Drain,
) -> Option<Upgraded> {
    let promised = Mutex::new(None);
    let secure = matches!(stream, Stream::Tls(_));
    let service = service_fn(async |mut request: Request<Incoming>| {
        let response = match (site.tls_only && !secure, handshake::is_asked_for(&request)) {
            (true, true) => text(
                StatusCode::FORBIDDEN,
                "This port takes TLS only: use wss://",
            ),
            (true, false) => to_https(&request),
            (false, true) => site.upgrade(&mut request, &admit, &promised),
            (false, false) => site.respond(&request).await,
        };
        log::debug!(
            "request client={peer} method={} path=\"{}\" status={}",
            Escaped(request.method().as_str()),
            // The query may hold a token.
            Escaped(request.uri().path()),
            response.status().as_u16()
        );
        Ok::<_, Infallible>(signed(response, site.tls_only && secure))
    });
    let ended = {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::REQUEST_HEAD_TIME)
            .max_buf_size(limits::REQUEST_HEAD_SIZE)
            .max_headers(limits::REQUEST_HEADERS)
            .title_case_headers(true)
            // A client may say that it has no further request before it reads its answer.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = drain.told() => {
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
    let promised = promised
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)?;
    raw(promised).await
}

/// Takes hyper's wrapping off, so that none of it stays under the session.
async fn raw(promised: OnUpgrade) -> Option<Upgraded> {
    let parts = promised.await.ok()?.downcast::<TokioIo<Stream>>().ok()?;
    Some(Upgraded {
        stream: parts.io.into_inner(),
        early: parts.read_buf,
    })
}

impl Site {
    fn upgrade(
        &self,
        request: &mut Request<Incoming>,
        admit: &impl Fn() -> bool,
        promised: &Mutex<Option<OnUpgrade>>,
    ) -> Response<Body> {
        match handshake::answer(request, &self.subprotocols) {
            Err(refusal) => refused(&refusal),
            // What follows would be a body to one reader and frames to another.
            Ok(_) if !request.body().is_end_stream() => text(
                StatusCode::BAD_REQUEST,
                "A request for a WebSocket has no body",
            ),
            Ok(_) if !admit() => text(StatusCode::SERVICE_UNAVAILABLE, "No further session"),
            Ok(response) => {
                let on_upgrade = upgrade::on(request);
                *promised.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_upgrade);
                response.map(|()| empty())
            }
        }
    }

    async fn respond(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && self.health_path.as_deref() == Some(path) {
            return text(StatusCode::OK, "ok");
        }
        match (&self.files, self.page) {
            (Some(files), _) if reads => files.respond(request).await,
            (None, Some(page)) if reads && path == "/" => html(page),
            (None, Some(_)) if reads => text(StatusCode::NOT_FOUND, "Not Found"),
            (Some(_), _) | (None, Some(_)) => refused(&handshake::method_not_allowed("GET, HEAD")),
            (None, None) => refused(&handshake::method_not_allowed("")),
        }
    }
}

/// What every answer says of us: who, but not which version; and that types are not guesses.
/// Where plain clients are turned away, browsers are told not to try it (RFC 6797).
fn signed(mut response: Response<Body>, tls_only: bool) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("websockify"));
    if tls_only {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

/// The same address by https, where there is one to name.
fn to_https(request: &Request<Incoming>) -> Response<Body> {
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

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = text(refusal.status, refusal.text);
    if let Some((name, value)) = &refusal.header {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
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
