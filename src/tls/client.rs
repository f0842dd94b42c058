//! TLS towards the target (--ssl-target).

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslMode, SslVerifyMode};
use tokio_openssl::SslStream;

use super::certificate::{Certificate, Pair, Password};
use super::{explain, server};
use crate::stream::{Socket, Stream};

/// What the options say about TLS towards the target.
#[derive(Clone, Debug)]
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
    connector: SslConnector,
    name: Option<String>,
    insecure: bool,
}

impl Client {
    /// Reads and judges all files.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn load(options: &Options) -> Result<Self, String> {
        let failed = |error: ErrorStack| format!("--ssl-target: {error}");
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
        builder.set_mode(SslMode::RELEASE_BUFFERS);
        if let Some(path) = &options.authorities {
            let (_, store) = server::authorities(Path::new(path), "--ssl-target-cafile")?;
            builder.set_cert_store(store);
        }
        if let Some(pair) = &options.certificate {
            let password = options.password.as_ref().map(Password::read).transpose()?;
            let certificate = Certificate::load(pair, password.as_deref())
                .map_err(|fault| fault.replace("--cert", "--ssl-target-cert"))?;
            server::install(&mut builder, &certificate).map_err(failed)?;
        }
        if options.insecure {
            builder.set_verify(SslVerifyMode::NONE);
        }
        Ok(Self {
            connector: builder.build(),
            name: options.name.clone(),
            insecure: options.insecure,
        })
    }

    /// Does the handshake with the target at the other end of `socket`, reached as `host`.
    ///
    /// # Errors
    /// OpenSSL's reason, and what is wrong with the target's certificate.
    pub async fn connect(&self, socket: Socket, host: Option<&str>) -> io::Result<Stream> {
        let name = self.name.as_deref().or(host);
        let configuration = self
            .connector
            .configure()?
            // An address is no server name (RFC 6066, 3), but it may be in a certificate.
            .use_server_name_indication(name.is_some_and(|it| it.parse::<IpAddr>().is_err()))
            .verify_hostname(!self.insecure);
        let ssl = configuration.into_ssl(name.unwrap_or_default())?;
        let mut stream = Box::pin(SslStream::new(ssl, socket)?);
        match stream.as_mut().connect().await {
            Ok(()) => Ok(Stream::Tls(stream)),
            Err(error) => Err(io::Error::other(format!(
                "TLS: {}",
                explain(&error, stream.ssl())
            ))),
        }
    }
}
