//! TLS towards clients, by OpenSSL: [`certificate`] reads and judges the files, [`server`] makes a
//! context of them, and this front offers it to connections and renews it under live sessions.
//! [`client`] is TLS towards the target.

pub mod certificate;
pub mod client;
mod server;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};

use openssl::ssl::{Ssl, SslContext, SslVersion};
use tokio::time::timeout;
use tokio_openssl::SslStream;

use crate::error::Failure;
use crate::limits;
use crate::log::Throttle;
use crate::sniff::{Speaks, sniff};
use crate::stream::{Socket, Stream};
use certificate::Pair;

/// What the options say about TLS towards clients.
#[derive(Clone, Debug)]
pub struct Options {
    /// Certificates and keys: files, or directories of them.
    pub certificates: Vec<Pair>,
    /// Opens encrypted keys.
    pub password: Option<certificate::Password>,
    /// See [`crate::cli::Options::ssl_only`].
    pub only: bool,
    /// The oldest version that is spoken.
    pub oldest: SslVersion,
    /// See [`crate::cli::Options::ssl_ciphers`].
    pub ciphers: Option<String>,
    /// Whether clients must show a certificate.
    pub verify_client: bool,
    /// Who may have signed it; the system's authorities unless given.
    pub authorities: Option<PathBuf>,
}

/// TLS towards clients.
pub struct Tls {
    options: Options,
    context: RwLock<SslContext>,
    failed: Throttle,
}

impl Tls {
    /// Reads and judges all files.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn load(options: Options) -> Result<Self, Failure> {
        let context = server::context(&options).map_err(Failure::Start)?;
        Ok(Self {
            options,
            context: RwLock::new(context),
            failed: Throttle::default(),
        })
    }

    /// Whether plain clients are turned away.
    #[must_use]
    pub fn only(&self) -> bool {
        self.options.only
    }

    /// Reads everything anew; blocks. New connections get the new certificates, and those that
    /// are there keep theirs.
    ///
    /// # Errors
    /// One sentence; everything stays as it was.
    pub fn reload(&self) -> Result<(), String> {
        let context = server::context(&self.options)?;
        *self.context.write().unwrap_or_else(PoisonError::into_inner) = context;
        Ok(())
    }

    /// Every file that the certificates come from, to notice when one changes.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        certificate::files(&self.options)
    }

    /// Finds out what a client speaks and does the handshake if that is TLS. `None` when it left
    /// or failed, which is logged now and then.
    pub async fn open(&self, socket: Socket, peer: &impl fmt::Display) -> Option<Stream> {
        let first = timeout(limits::REQUEST_HEAD_TIME, socket.peek())
            .await
            .ok()?
            .ok()??;
        match sniff(first) {
            Speaks::Plain => Some(Stream::Plain(socket)),
            Speaks::Tls => match self.shake_hands(socket).await {
                Ok(stream) => Some(stream),
                Err(error) => {
                    if let Some(more) = self.failed.pass() {
                        log::info!("tls client={peer} failed: {error}{more}");
                    }
                    None
                }
            },
        }
    }

    async fn shake_hands(&self, socket: Socket) -> io::Result<Stream> {
        let ssl = {
            let context = self.context.read().unwrap_or_else(PoisonError::into_inner);
            Ssl::new(&context)?
        };
        let mut stream = Box::pin(SslStream::new(ssl, socket)?);
        let shaking = Pin::new(&mut stream).get_mut().as_mut().accept();
        match timeout(limits::TLS_HANDSHAKE_TIME, shaking).await {
            Ok(Ok(())) => Ok(Stream::Tls(stream)),
            Ok(Err(error)) => Err(io::Error::other(explain(&error, stream.ssl()))),
            Err(_) => Err(io::Error::other("the handshake took too long")),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// OpenSSL's reason in its own words, and what a certificate's verification had to say.
fn explain(error: &openssl::ssl::Error, ssl: &openssl::ssl::SslRef) -> String {
    let verified = ssl.verify_result();
    let reasons: Vec<&str> = error
        .ssl_error()
        .map(|stack| {
            stack
                .errors()
                .iter()
                .filter_map(openssl::error::Error::reason)
                .collect()
        })
        .unwrap_or_default();
    let mut text = match (reasons.is_empty(), error.io_error()) {
        (false, _) => reasons.join(", "),
        (true, Some(error)) => error.to_string(),
        (true, None) => "the peer left".to_owned(),
    };
    if verified != openssl::x509::X509VerifyResult::OK {
        text = format!("{text} ({})", verified.error_string());
    }
    text
}
