//! BaseTokenAPI and JSONTokenApi: an HTTP server knows where to. [`url`] makes the addresses.

mod url;

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_service::Service;

use super::{Fault, json};
use crate::limits;
use crate::log::escape::Escaped;
use crate::route::Route;
use crate::stream::Stream;
use crate::target::sources::Sources;
use crate::target::walls::Walls;
use crate::tls::client;
pub use url::Template;

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `host:port`, as BaseTokenAPI reads it.
    Text,
    /// An object with `host` and `port`, as JSONTokenApi does.
    Json,
}

/// Asks an HTTP server.
#[derive(Debug)]
pub(super) struct HttpApi {
    template: Template,
    answer: Answer,
    connector: Connector,
    client: Client<Connector, Empty<Bytes>>,
    turns: Semaphore,
}

impl HttpApi {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// When the system's TLS cannot be used.
    pub(super) fn load(template: Template, answer: Answer) -> Result<Self, String> {
        let tls = client::Client::load(client::Options::default(), false);
        let connector = Connector(Arc::new(tls.map_err(|failure| failure.to_string())?));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::TOKEN_API_IDLE)
            .pool_max_idle_per_host(limits::TOKEN_API_CONNECTIONS)
            .build(connector.clone());
        Ok(Self {
            template,
            answer,
            connector,
            client,
            turns: Semaphore::new(limits::TOKEN_API_CONNECTIONS),
        })
    }

    /// Tries to reach the server.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub(super) async fn probe(&self) -> Result<(), Fault> {
        let reached = self.connector.reach(self.template.origin()).await;
        reached.map(drop).map_err(|error| fault(&error))
    }

    /// Asks where the session of a token goes. Returns within [`limits::TOKEN_TIME`].
    ///
    /// # Errors
    /// What went wrong, without the address: the token is in it.
    pub(super) async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        let Some(uri) = self.template.with(token) else {
            return Ok(None);
        };
        let asked = async {
            let turn = self.turns.acquire().await.map_err(|error| fault(&error))?;
            let answer = self.ask(uri).await;
            drop(turn);
            answer
        };
        match timeout(limits::TOKEN_TIME, asked).await {
            Ok(answer) => match answer? {
                Some(body) => self.route(&body).map(Some),
                None => Ok(None),
            },
            Err(_) => Err(Fault("no answer in time".into())),
        }
    }

    /// Follows redirects and returns the answer's body; `None` if there is no such token.
    async fn ask(&self, mut uri: Uri) -> Result<Option<Bytes>, Fault> {
        for _ in 0..=limits::TOKEN_API_REDIRECTS {
            let response = self.get(uri.clone()).await?;
            let status = response.status();
            if let Some(location) = response.headers().get(LOCATION) {
                if status.is_redirection() {
                    uri = location
                        .to_str()
                        .ok()
                        .and_then(|location| url::redirected(&uri, location))
                        .ok_or_else(|| Fault("redirected to where we do not go".into()))?;
                    continue;
                }
            }
            // Where none are needed, 401 may be what the server thinks of the token.
            let ours_are_wrong =
                status == StatusCode::UNAUTHORIZED && self.template.credentials(&uri).is_some();
            return match status {
                _ if ours_are_wrong => Err(answered(status)),
                StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(answered(status)),
                _ if status.is_client_error() => Ok(None),
                _ if status.is_success() => body(response).await.map(Some),
                _ => Err(answered(status)),
            };
        }
        Err(Fault("too many redirects".into()))
    }

    async fn get(&self, uri: Uri) -> Result<Response<Incoming>, Fault> {
        let mut request = Request::get(&uri)
            .header(
                USER_AGENT,
                concat!("websockify/", env!("CARGO_PKG_VERSION")),
            )
            .header(ACCEPT, "*/*");
        // For the server that it was given for, and no other that this one may send us to.
        if let Some(credentials) = self.template.credentials(&uri) {
            request = request.header(AUTHORIZATION, credentials);
        }
        let request = request.body(Empty::new()).map_err(|error| fault(&error))?;
        self.client
            .request(request)
            .await
            .map_err(|error| fault(&error))
    }

    fn route(&self, body: &[u8]) -> Result<Route, Fault> {
        let route = match self.answer {
            Answer::Text => std::str::from_utf8(body)
                .map_err(|_| "it is not UTF-8")
                .and_then(|text| Route::parse(text.trim())),
            Answer::Json => serde_json::from_slice(body)
                .map_err(|_| "it is no JSON object")
                .and_then(|object| json::host_and_port(&object)),
        };
        route.map_err(|reason| Fault(format!("the answer does not say where to: {reason}")))
    }
}

async fn body(response: Response<Incoming>) -> Result<Bytes, Fault> {
    let body = Limited::new(response.into_body(), limits::TOKEN_ANSWER);
    let body = body.collect().await;
    body.map(|it| it.to_bytes())
        .map_err(|error| Fault(format!("the answer: {}", Escaped(&error.to_string()))))
}

fn answered(status: StatusCode) -> Fault {
    Fault(format!("the server answers {}", status.as_u16()))
}

/// The innermost reason: those around it only say where it was met.
fn fault(error: &(dyn Error + 'static)) -> Fault {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Fault(Escaped(&innermost.to_string()).to_string())
}

/// Reaches servers as targets are reached: by one way to resolve, connect and verify.
#[derive(Clone, Debug)]
struct Connector(Arc<client::Client>);

impl Connector {
    async fn reach(&self, uri: &Uri) -> io::Result<Stream> {
        let (target, secure) = url::server(uri).ok_or(io::ErrorKind::InvalidInput)?;
        // Walls are for targets: an administrator has named this server.
        let (tls, walls) = (secure.then_some(&*self.0), Walls::default());
        target
            .connect(tls, &walls, &Sources::default(), None)
            .await
            .map_err(io::Error::other)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.reach(&uri).await.map(TokioIo::new) })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
