//! TLS towards clients, by OpenSSL: [`certificate`] reads and judges the files, [`server`] makes a
//! context of them, and this front offers it to connections and renews it under live sessions.
//! [`peer`] is who a client is by its certificate. [`client`] is TLS towards the target.
//!
//! A connection that is to outlive the process is watched by [`records`] while OpenSSL does its TLS;
//! then [`kernel`] goes on with it, by what [`keys`] says.

pub mod beneath;
pub mod certificate;
pub mod client;
pub mod kernel;
pub mod keys;
pub mod peer;
pub mod records;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslRef, SslVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_openssl::SslStream;

use crate::error::Failure;
use crate::limits;
use crate::log::Throttle;
use crate::sniff::{Speaks, sniff};
use crate::stream::{Socket, Stream};
use beneath::Beneath;
use certificate::Pair;
use kernel::KernelTls;
use keys::{Keys, Unfit};
pub use server::Served;

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

impl Options {
    /// Every file that matters now.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = certificate::files(&self.certificates, self.password.as_ref());
        files.extend(self.authorities.clone());
        files
    }
}

/// TLS towards clients.
pub struct Tls {
    options: Options,
    served: RwLock<Served>,
    /// Whether connections may be left to the kernel.
    kernel: bool,
    failed: Throttle,
}

impl Tls {
    /// Reads and judges all files. With `kernel`, what is opened may be left to the kernel.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn load(options: Options, kernel: bool) -> Result<Self, Failure> {
        let served = server::read(&options, kernel).map_err(Failure::Start)?;
        Ok(Self {
            options,
            served: RwLock::new(served),
            kernel,
            failed: Throttle::default(),
        })
    }

    /// Whether plain clients are turned away.
    #[must_use]
    pub fn only(&self) -> bool {
        self.options.only
    }

    /// Whether clients must show a certificate.
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.options.verify_client
    }

    /// Reads everything anew, for [`Self::renew`]; blocks.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn read(&self) -> Result<Served, String> {
        server::read(&self.options, self.kernel)
    }

    /// New connections get the new certificates, and those that are there keep theirs.
    pub fn renew(&self, served: Served) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// The names in each certificate, and when it ends in seconds since 1970.
    #[must_use]
    pub fn expiries(&self) -> Vec<(String, i64)> {
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        served.expiries.clone()
    }

    /// Every file that was read, to notice when one changes.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.options.files()
    }

    /// Finds out what a client speaks and does the handshake if that is TLS. `None` when it left
    /// or failed, which is logged now and then.
    pub async fn open(&self, socket: Socket, peer: &impl fmt::Display) -> Option<Stream> {
        let first = timeout(limits::REQUEST_HEAD_TIME, socket.peek_first())
            .await
            .ok()?
            .ok()??;
        match sniff(first) {
            Speaks::Plain | Speaks::Policy => Some(Stream::Plain(socket)),
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
            let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
            Ssl::new(&served.context)?
        };
        let mut stream = stream(ssl, socket, self.kernel)?;
        match timeout(limits::TLS_HANDSHAKE_TIME, stream.as_mut().accept()).await {
            Ok(Ok(())) => Ok(opened(stream)),
            Ok(Err(error)) => {
                let reason = explain(&error, stream.ssl());
                let _ = timeout(limits::REFUSAL_TIME, let_go(&mut stream.get_mut().socket)).await;
                Err(io::Error::other(reason))
            }
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

/// A connection whose handshake is yet to be done.
fn stream(mut ssl: Ssl, socket: Socket, kernel: bool) -> io::Result<Pin<Box<SslStream<Beneath>>>> {
    let mut beneath = Beneath::new(socket);
    if kernel {
        keys::watch(&mut ssl)?;
        beneath.records = Some(Box::default());
    }
    Ok(Box::pin(SslStream::new(ssl, beneath)?))
}

/// One whose handshake is over.
fn opened(mut stream: Pin<Box<SslStream<Beneath>>>) -> Stream {
    let ssl = stream.ssl();
    let (version, is_server) = (ssl.version2(), ssl.is_server());
    if let Some(records) = &mut stream.get_mut().records {
        records.begin(version == Some(SslVersion::TLS1_3), is_server);
    }
    Stream::Tls(stream)
}

/// What the kernel needs to go on with a connection where OpenSSL is.
pub(crate) fn keys(ssl: &SslRef, beneath: &Beneath) -> Result<Keys, Unfit> {
    let records = beneath.records.as_deref().ok_or(Unfit::Absent)?;
    if let Socket::Unix(_) = beneath.socket {
        return Err(Unfit::Socket);
    }
    keys::of(ssl, records)
}

/// Has the kernel go on with a connection, which OpenSSL must not go on with.
pub(crate) fn enter_kernel(beneath: &Beneath, keys: &Keys) -> Result<KernelTls, Unfit> {
    // OpenSSL closes its own when it is let go.
    let socket = beneath.socket.as_fd().try_clone_to_owned()?;
    Ok(KernelTls::begin(socket.try_into()?, keys)?)
}

/// Reads what a refused client has sent on meanwhile, so that closing does not take back the alert
/// that tells it why.
async fn let_go(socket: &mut Socket) -> io::Result<()> {
    socket.shutdown().await?;
    let mut rest = [0; 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

/// OpenSSL's reason in its own words, and what a certificate's verification had to say.
fn explain(error: &openssl::ssl::Error, ssl: &SslRef) -> String {
    let mut text = match (error.ssl_error(), error.io_error()) {
        (Some(stack), _) if !stack.errors().is_empty() => reasons(stack),
        (_, Some(error)) => error.to_string(),
        (_, None) => "the peer left".to_owned(),
    };
    let verified = ssl.verify_result();
    if verified != openssl::x509::X509VerifyResult::OK {
        text = format!("{text} ({})", verified.error_string());
    }
    text
}

/// OpenSSL's reasons without the numbers and places in its source.
fn reasons(stack: &ErrorStack) -> String {
    let reasons: Vec<&str> = stack
        .errors()
        .iter()
        .filter_map(openssl::error::Error::reason)
        .collect();
    reasons.join(", ")
}
