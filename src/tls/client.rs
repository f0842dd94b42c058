//! TLS towards the target (--ssl-target).

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslMode, SslVerifyMode};

use super::certificate::{self, Certificate, Pair, Password};
use super::{explain, opened, reasons, server, stream};
use crate::error::Failure;
use crate::stream::{Socket, Stream};

/// What the options say about TLS towards the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The name that the target must prove and is asked for; its host unless given.
    pub name: Option<String>,
    /// Who may have signed its certificate; the system's authorities unless given.
    pub authorities: Option<PathBuf>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Our own certificate, for targets that ask for one.
    pub certificate: Option<Pair>,
    /// Opens its key.
    pub password: Option<Password>,
}

/// TLS towards the target.
#[derive(Debug)]
pub struct Client {
    options: Options,
    connector: RwLock<SslConnector>,
    /// Whether connections may be left to the kernel.
    kernel: bool,
}

impl Options {
    /// Every file that matters now.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = certificate::files(self.certificate.as_slice(), self.password.as_ref());
        files.extend(self.authorities.clone());
        files
    }
}

impl Client {
    /// Reads and judges all files. With `kernel`, what is connected may be left to the kernel.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn load(options: Options, kernel: bool) -> Result<Self, Failure> {
        let connector = connector(&options, kernel).map_err(Failure::Start)?;
        if options.insecure {
            log::warn!(
                "--ssl-target-insecure: nobody checks who the target is, and whoever is in between \
                 can read and change everything; better give --ssl-target-cafile"
            );
        }
        Ok(Self {
            options,
            connector: RwLock::new(connector),
            kernel,
        })
    }

    /// Reads everything anew, for [`Self::renew`]; blocks.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn read(&self) -> Result<SslConnector, String> {
        connector(&self.options, self.kernel)
    }

    /// New sessions' targets get and must give what was read.
    pub fn renew(&self, connector: SslConnector) {
        *self
            .connector
            .write()
            .unwrap_or_else(PoisonError::into_inner) = connector;
    }

    /// Every file that was read, to notice when one changes.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.options.files()
    }

    /// Does the handshake with the target at the other end of `socket`, reached as `host`.
    ///
    /// # Errors
    /// OpenSSL's reason, and what is wrong with the target's certificate.
    pub async fn connect(&self, socket: Socket, host: Option<&str>) -> io::Result<Stream> {
        let name = self.options.name.as_deref().or(host);
        if name.is_none() && !self.options.insecure {
            return Err(io::Error::other(
                "TLS: a path is in no certificate: give --ssl-target-name",
            ));
        }
        let configuration = self
            .connector
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .configure()?
            // An address is no server name (RFC 6066, 3), but it may be in a certificate.
            .use_server_name_indication(name.is_some_and(|it| it.parse::<IpAddr>().is_err()))
            .verify_hostname(!self.options.insecure);
        let ssl = configuration.into_ssl(name.unwrap_or_default())?;
        let mut stream = stream(ssl, socket, self.kernel)?;
        match stream.as_mut().connect().await {
            Ok(()) => Ok(opened(stream)),
            Err(error) => Err(io::Error::other(format!(
                "TLS: {}",
                explain(&error, stream.ssl())
            ))),
        }
    }
}

fn connector(options: &Options, kernel: bool) -> Result<SslConnector, String> {
    let failed = |error: ErrorStack| format!("--ssl-target: {}", reasons(&error));
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    server::reading(&mut builder, kernel);
    if let Some(path) = &options.authorities {
        let (_, store) = server::authorities(Path::new(path), "--ssl-target-cafile")?;
        builder.set_cert_store(store);
    }
    if let Some(pair) = &options.certificate {
        let password = options.password.as_ref().map(Password::read).transpose()?;
        let certificate = Certificate::load(pair, password.as_deref()).map_err(|fault| {
            fault
                .replace("--cert", "--ssl-target-cert")
                .replace("--key ", "--ssl-target-key ")
        })?;
        server::install(&mut builder, &certificate, "--ssl-target-cert")?;
    }
    if options.insecure {
        builder.set_verify(SslVerifyMode::NONE);
    }
    Ok(builder.build())
}
