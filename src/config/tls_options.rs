//! What the options of TLS mean.

use std::path::Path;

use openssl::ssl::SslVersion;

use crate::cli::Options;
use crate::error::Failure;
use crate::target::Target;
use crate::tls::certificate::{Pair, Password};
use crate::tls::{self, client};
use crate::token;

/// websockify's name for a certificate where none is given; it may be absent.
const DEFAULT_CERTIFICATE: &str = "self.pem";

/// TLS towards clients: the certificates and who is let in by them.
pub(super) fn tls_options(options: &Options) -> Result<Option<tls::Options>, Failure> {
    let mut certificates = options.cert.clone();
    if certificates.is_empty() && Path::new(DEFAULT_CERTIFICATE).exists() {
        certificates.push(DEFAULT_CERTIFICATE.into());
    }
    let only = options.ssl_only || options.verify_client;
    if certificates.is_empty() {
        let asking = [
            (only, "--ssl-only and --verify-client need"),
            (!options.key.is_empty(), "--key needs"),
        ];
        return match asking.iter().find(|(asked, _)| *asked) {
            Some((_, who)) => Err(Failure::start(format!(
                "{who} a certificate: give --cert ({DEFAULT_CERTIFICATE} is not here)"
            ))),
            None => Ok(None),
        };
    }
    if options.key.len() > certificates.len() {
        return Err(Failure::usage("there are more of --key than of --cert"));
    }
    let keys = options
        .key
        .iter()
        .cloned()
        .map(Some)
        .chain(std::iter::repeat(None));
    let pairs = certificates.into_iter().zip(keys);
    Ok(Some(tls::Options {
        certificates: pairs
            .map(|(certificate, key)| Pair { certificate, key })
            .collect(),
        password: key_password(options)?,
        only,
        oldest: match options.ssl_version.as_str() {
            "tlsv1_1" => SslVersion::TLS1_1,
            "tlsv1_3" => SslVersion::TLS1_3,
            _ => SslVersion::TLS1_2,
        },
        ciphers: options.ssl_ciphers.clone(),
        verify_client: options.verify_client,
        authorities: options.cafile.clone(),
    }))
}

/// TLS towards the target.
pub(super) fn target_tls_options(
    options: &Options,
    to: Option<&token::Options>,
) -> Result<Option<client::Options>, Failure> {
    // What a token stands for may be a target with TLS.
    if !options.ssl_target && !matches!(to, Some(token::Options::Tokens(_))) {
        return Ok(None);
    }
    if matches!(to, Some(token::Options::Target(Target::Unix(_))))
        && options.ssl_target_name.is_none()
        && !options.ssl_target_insecure
    {
        return Err(Failure::usage(
            "--ssl-target with --unix-target needs --ssl-target-name: a path is in no certificate",
        ));
    }
    Ok(Some(client::Options {
        name: options.ssl_target_name.clone(),
        authorities: options.ssl_target_cafile.clone(),
        insecure: options.ssl_target_insecure,
        certificate: options.ssl_target_cert.clone().map(|certificate| Pair {
            certificate,
            key: options.ssl_target_key.clone(),
        }),
        password: key_password(options)?,
    }))
}

fn key_password(options: &Options) -> Result<Option<Password>, Failure> {
    match (&options.key_password, &options.key_password_file) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "--key-password and --key-password-file exclude each other",
        )),
        (Some(text), None) => Ok(Some(Password::Text(text.clone()))),
        (None, file) => Ok(file.clone().map(Password::File)),
    }
}
