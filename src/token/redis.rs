//! TokenRedis: a Redis server knows where to. [`source`] says which and how.

mod source;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use openssl::ssl::SslConnector;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, cmd};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Fault, json};
use crate::limits;
use crate::log::escape::Escaped;
use crate::route::Route;
use crate::target::Unreached;
use crate::target::sources::Sources;
use crate::target::walls::Walls;
use crate::tls::client::Client;
pub use source::Source;

/// Asks a Redis server, over one connection that all look-ups share (`redis` pipelines them) and
/// that is made anew when it breaks.
pub(super) struct Redis {
    source: Source,
    login: RedisConnectionInfo,
    tls: Option<Client>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    connection: Option<MultiplexedConnection>,
    /// Tells connections apart: only who saw this one break may throw it away.
    generation: u64,
    /// Whoever waited for an attempt that failed has its answer in that.
    failed: Option<(Instant, Fault)>,
}

impl Redis {
    /// Reads the files of TLS and connects to nothing yet.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub(super) fn load(source: Source) -> Result<Self, String> {
        let tls = source
            .tls
            .clone()
            .map(|it| Client::load(it, false))
            .transpose();
        let tls = tls.map_err(|failure| named(&failure.to_string()))?;
        let mut login = RedisConnectionInfo::default().set_db(source.db);
        if let Some(user) = &source.user {
            login = login.set_username(user);
        }
        if let Some(password) = &source.password {
            login = login.set_password(password);
        }
        Ok(Self {
            source,
            login,
            tls,
            shared: Mutex::default(),
        })
    }

    /// The files of TLS.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.source.files()
    }

    /// Reads those files anew; blocks, and changes nothing yet.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub(super) fn read(&self) -> Result<Option<SslConnector>, String> {
        let read = self.tls.as_ref().map(Client::read).transpose();
        read.map_err(|fault| named(&fault))
    }

    /// Connects by what [`Redis::read`] has read from now on.
    pub(super) fn renew(&self, connector: SslConnector) {
        if let Some(tls) = &self.tls {
            tls.renew(connector);
        }
    }

    /// Tries to reach the server.
    ///
    /// # Errors
    /// Why it cannot be reached, or does not let us in.
    pub(super) async fn probe(&self) -> Result<(), Fault> {
        self.connection().await.map(drop)
    }

    /// Asks where the session of a token goes. Returns within [`limits::TOKEN_TIME`].
    ///
    /// # Errors
    /// What went wrong, without the token.
    pub(super) async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        let key = format!("{}{token}", self.source.prefix);
        let value = timeout(limits::TOKEN_TIME, self.get(&key))
            .await
            .unwrap_or_else(|_| Err(Fault("no answer in time".into())))?;
        value.map(|value| route(&value)).transpose()
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        // A connection that broke while nobody used it, or whose other end is gone in silence, is
        // noticed by who uses it next: that one has its question asked again.
        for last in [false, true] {
            let (mut connection, generation) = self.connection().await?;
            match cmd("GET").arg(key).query_async(&mut connection).await {
                Ok(value) => return Ok(value),
                Err(error) if error.is_unrecoverable_error() || error.is_timeout() => {
                    let mut shared = self.shared.lock().await;
                    if shared.generation == generation {
                        shared.connection = None;
                    }
                    if last {
                        return Err(fault(&error));
                    }
                }
                Err(error) => return Err(fault(&error)),
            }
        }
        Err(Fault("the connection breaks again and again".into()))
    }

    /// The connection there is, or a new one.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Fault> {
        let asked = Instant::now();
        let mut shared = self.shared.lock().await;
        if let Some((when, fault)) = &shared.failed {
            if *when > asked {
                return Err(fault.clone());
            }
        }
        if shared.connection.is_none() {
            let made = timeout(limits::TOKEN_CONNECT_TIME, self.connect()).await;
            let made = made.unwrap_or_else(|_| Err(Fault("no connection in time".into())));
            shared.failed = match &made {
                Ok(_) => None,
                Err(fault) => Some((Instant::now(), fault.clone())),
            };
            shared.connection = Some(made?);
            shared.generation += 1;
        }
        match &shared.connection {
            Some(connection) => Ok((connection.clone(), shared.generation)),
            None => Err(Fault("not connected".into())),
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Fault> {
        let broken = |error: Unreached| Fault(Escaped(&error.to_string()).to_string());
        // Walls are for targets: an administrator has named this server.
        let walls = Walls::default();
        let stream = self
            .source
            .target
            .connect(self.tls.as_ref(), &walls, &Sources::default(), None)
            .await;
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(limits::TOKEN_REDIS_TIME));
        let stream = stream.map_err(broken)?;
        let made = MultiplexedConnection::new_with_config(&self.login, stream, config).await;
        let (connection, driver) = made.map_err(|error| fault(&error))?;
        // It ends with the connection or its last user.
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// Calls files as the source does.
fn named(fault: &str) -> String {
    let fault = fault
        .replace("--ssl-target-cafile", "ssl_ca_certs")
        .replace("--ssl-target-cert", "ssl_certfile")
        .replace("--ssl-target-key", "ssl_keyfile");
    format!("TokenRedis: {fault}")
}

/// Only the kind of what a server says: some of its errors quote the command, and with it a token.
fn fault(error: &RedisError) -> Fault {
    let text = match error.code() {
        Some(code) if !error.is_io_error() => format!("{}: {code}", error.category()),
        _ if error.is_io_error() => error.to_string(),
        _ => error.category().to_owned(),
    };
    Fault(Escaped(&text).to_string())
}

/// Reads a value: `host:port`, or an object whose `host` is that, or which has a `port`, too.
fn route(value: &[u8]) -> Result<Route, Fault> {
    let text = std::str::from_utf8(value).map_err(|_| "it is not UTF-8");
    let route = text.map(str::trim).and_then(|text| {
        if !text.starts_with('{') {
            return Route::parse(text);
        }
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| "it is no JSON object")?;
        match object.get("host") {
            Some(Value::String(host)) if !object.contains_key("port") => Route::parse(host),
            _ => json::host_and_port(&object),
        }
    });
    route.map_err(|reason| Fault(format!("the value does not say where to: {reason}")))
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn values() {
        for (value, shown) in [
            ("h:80", Some("h:80")),
            (" h:80\r\n", Some("h:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("unix_socket:/s", Some("unix:/s")),
            ("{\"host\": \"h:80\", \"more\": 1}", Some("h:80")),
            ("{\"host\": \"h\", \"port\": 80}", Some("h:80")),
            ("{\"host\": \"h\"}", None),
            ("{\"host\": 80}", None),
            ("{\"host\": \"h:80\"", None),
            ("{}", None),
            ("h", None),
            ("", None),
        ] {
            let route = route(value.as_bytes());
            assert_eq!(
                route.ok().map(|it| it.to_string()).as_deref(),
                shown,
                "{value}"
            );
        }
        assert!(route(b"\xff:80").is_err());
    }
}
