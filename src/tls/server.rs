//! OpenSSL contexts for clients.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, NameType, SniError, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode,
    SslOptions, SslVerifyMode, select_next_proto,
};
use openssl::x509::X509;
use openssl::x509::store::{X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;

use super::Options;
use super::certificate::{self, Certificate};

/// The context for new connections: the first certificate's, which passes those that ask for
/// another's name on to that one's.
pub(super) fn context(options: &Options) -> Result<SslContext, String> {
    let mut certificates = certificate::load(options)?.into_iter();
    let first = certificates.next().ok_or("no certificate is given")?;
    let mut others = Vec::new();
    for certificate in certificates {
        let context = builder(&certificate, options)?.build();
        others.push((certificate, context));
    }
    let mut builder = builder(&first, options)?;
    builder.set_servername_callback(move |ssl, _| {
        let Some(asked) = ssl.servername(NameType::HOST_NAME) else {
            return Ok(());
        };
        if first.is_for(asked) {
            return Ok(());
        }
        match others
            .iter()
            .find(|(certificate, _)| certificate.is_for(asked))
        {
            Some((_, context)) => ssl
                .set_ssl_context(context)
                .map_err(|_| SniError::ALERT_FATAL),
            None => Ok(()),
        }
    });
    Ok(builder.build())
}

fn builder(certificate: &Certificate, options: &Options) -> Result<SslContextBuilder, String> {
    let mut builder = settings(options).map_err(|error| format!("cannot set TLS up: {error}"))?;
    install(&mut builder, certificate).map_err(|error| format!("--cert: {error}"))?;
    if let Some(ciphers) = &options.ciphers {
        set_ciphers(&mut builder, ciphers)
            .map_err(|_| format!("--ssl-ciphers: OpenSSL knows no cipher in '{ciphers}'"))?;
    }
    if options.verify_client {
        verify_clients(&mut builder, options.authorities.as_deref())?;
    }
    Ok(builder)
}

fn settings(options: &Options) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(options.oldest))?;
    builder.set_options(
        SslOptions::NO_COMPRESSION
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    // An idle session gives its 34 KiB of buffers back.
    builder.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::AUTO_RETRY
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    // Sessions may be resumed only where the same clients are verified.
    builder.set_session_id_context(b"websockify")?;
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    Ok(builder)
}

pub(super) fn install(
    builder: &mut SslContextBuilder,
    certificate: &Certificate,
) -> Result<(), ErrorStack> {
    let mut chain = certificate.chain.iter();
    if let Some(first) = chain.next() {
        builder.set_certificate(first)?;
    }
    for issuer in chain {
        builder.add_extra_chain_cert(issuer.clone())?;
    }
    builder.set_private_key(&certificate.key)
}

/// Suites of TLS 1.3 are named `TLS_…`; everything else is a list for the older versions.
fn set_ciphers(builder: &mut SslContextBuilder, ciphers: &str) -> Result<(), ErrorStack> {
    let (new, old): (Vec<&str>, Vec<&str>) = ciphers
        .split(':')
        .partition(|name| name.starts_with("TLS_"));
    if !new.is_empty() {
        builder.set_ciphersuites(&new.join(":"))?;
    }
    if !old.is_empty() {
        builder.set_cipher_list(&old.join(":"))?;
    }
    Ok(())
}

fn verify_clients(builder: &mut SslContextBuilder, from: Option<&Path>) -> Result<(), String> {
    let mode = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    builder.set_verify(mode);
    let Some(path) = from else {
        return builder
            .set_default_verify_paths()
            .map_err(|error| format!("cannot read the system's authorities: {error}"));
    };
    let (authorities, store) = authorities(path, "--cafile")?;
    let failed = |error: ErrorStack| format!("--cafile {}: {error}", path.display());
    builder.set_cert_store(store);
    // Clients with several certificates choose by these names.
    let mut names = openssl::stack::Stack::new().map_err(failed)?;
    for authority in &authorities {
        names
            .push(authority.subject_name().to_owned().map_err(failed)?)
            .map_err(failed)?;
    }
    builder.set_client_ca_list(names);
    Ok(())
}

/// Reads authorities in PEM form. Revocation lists may stand between them; then every certificate
/// is held against its authority's.
pub(super) fn authorities(path: &Path, option: &str) -> Result<(Vec<X509>, X509Store), String> {
    let pem = certificate::read(path, option)?;
    let failed = |error: ErrorStack| format!("{option} {}: {error}", path.display());
    let authorities = X509::stack_from_pem(&pem).map_err(failed)?;
    if authorities.is_empty() {
        return Err(format!(
            "{option} {}: no certificate in PEM form in it",
            path.display()
        ));
    }
    let mut store = X509StoreBuilder::new().map_err(failed)?;
    for authority in &authorities {
        store.add_cert(authority.clone()).map_err(failed)?;
    }
    if pem.windows(CRL.len()).any(|window| window == CRL) {
        let lookup = store.add_lookup(X509Lookup::file()).map_err(failed)?;
        lookup
            .load_crl_file(path, SslFiletype::PEM)
            .map_err(failed)?;
        store
            .set_flags(X509VerifyFlags::CRL_CHECK)
            .map_err(failed)?;
    }
    Ok((authorities, store.build()))
}

const CRL: &[u8] = b"BEGIN X509 CRL";
