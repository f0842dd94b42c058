//! OpenSSL contexts for clients.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, NameType, SniError, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode,
    SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion, select_next_proto,
};
use openssl::x509::X509;
use openssl::x509::store::{X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;

use super::certificate::{self, Certificate};
use super::{Options, keys, reasons};

/// What new connections get.
pub struct Served {
    /// See [`read`].
    pub(super) context: SslContext,
    /// The names in each certificate, and when it ends in seconds since 1970.
    pub(super) expiries: Vec<(String, i64)>,
}

/// Reads all files. The context for new connections is the first certificate's, which passes those that ask for
/// another's name on to that one's.
pub(super) fn read(options: &Options, kernel: bool) -> Result<Served, String> {
    let certificates = certificate::load(options)?;
    let expiries = certificates.iter().map(Certificate::expiry);
    let expiries = expiries.collect::<Result<_, _>>();
    let expiries = expiries.map_err(|error| format!("cannot set TLS up: {error}"))?;
    let mut certificates = certificates.into_iter();
    let first = certificates.next().ok_or("no certificate is given")?;
    let mut others = Vec::new();
    for certificate in certificates {
        let context = builder(&certificate, options, kernel)?.build();
        others.push((certificate, context));
    }
    let mut builder = builder(&first, options, kernel)?;
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
    Ok(Served {
        context: builder.build(),
        expiries,
    })
}

fn builder(
    certificate: &Certificate,
    options: &Options,
    kernel: bool,
) -> Result<SslContextBuilder, String> {
    let mut builder =
        settings(options, kernel).map_err(|error| format!("cannot set TLS up: {error}"))?;
    install(&mut builder, certificate, "--cert")?;
    set_ciphers(&mut builder, options)?;
    if options.verify_client {
        verify_clients(&mut builder, options.authorities.as_deref())?;
    }
    Ok(builder)
}

fn settings(options: &Options, kernel: bool) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(options.oldest))?;
    builder.set_options(
        SslOptions::NO_COMPRESSION
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    reading(&mut builder, kernel);
    // An idle session gives its 34 KiB of buffers back.
    builder.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::AUTO_RETRY
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    // Sessions may be resumed only where the same clients are verified.
    builder.set_session_id_context(b"websockify")?;
    // And by ticket alone: what is remembered for a client of TLS 1.2 without tickets is its session's
    // key, for hours, and twenty thousand of them.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    Ok(builder)
}

/// How connections are read, which the `kernel` may go on with.
pub(super) fn reading(builder: &mut SslContextBuilder, kernel: bool) {
    // A record is one read(2) instead of two, for its header and its body. What was read is lost to
    // the kernel, though.
    builder.set_read_ahead(!kernel);
    if kernel {
        keys::remember(builder);
    }
}

/// Gives a context its certificate, chain and key, which an option named.
pub(super) fn install(
    builder: &mut SslContextBuilder,
    certificate: &Certificate,
    option: &str,
) -> Result<(), String> {
    let mut installing = || {
        let mut chain = certificate.chain.iter();
        if let Some(first) = chain.next() {
            builder.set_certificate(first)?;
        }
        for issuer in chain {
            builder.add_extra_chain_cert(issuer.clone())?;
        }
        builder.set_private_key(&certificate.key)
    };
    installing().map_err(|error| {
        let path = certificate.path.display();
        format!("{option} {path}: OpenSSL refuses it: {}", reasons(&error))
    })
}

/// Suites of TLS 1.3 are named `TLS_…`; everything else is a list for the older versions.
fn set_ciphers(builder: &mut SslContextBuilder, options: &Options) -> Result<(), String> {
    let given = options.ciphers.as_deref().unwrap_or_default();
    let (new, old): (Vec<&str>, Vec<&str>) =
        given.split(':').partition(|name| name.starts_with("TLS_"));
    let unknown = |name: &str| format!("--ssl-ciphers: OpenSSL knows no cipher in '{name}'");
    for suite in &new {
        if !SUITES.contains(suite) {
            return Err(unknown(suite));
        }
    }
    if !new.is_empty() {
        let new = new.join(":");
        builder.set_ciphersuites(&new).map_err(|_| unknown(&new))?;
    }
    let old = match (&options.ciphers, old.join(":")) {
        (Some(_), old) if !old.is_empty() || new.is_empty() => old,
        // Nothing in that list is from the time of TLS 1.1.
        _ if options.oldest == SslVersion::TLS1_1 => return Ok(()),
        _ => CIPHERS.to_owned(),
    };
    builder.set_cipher_list(&old).map_err(|_| unknown(&old))
}

/// What TLS 1.2 clients may choose from unless --ssl-ciphers says otherwise. The library's own
/// list goes on to suites without forward secrecy: whoever gets the key could read what was
/// recorded years ago.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!AESCCM";

/// All that TLS 1.3 has (RFC 8446, B.4). OpenSSL leaves out what it does not know without a word,
/// and with none left TLS 1.3 would fail for each client.
const SUITES: [&str; 5] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
];

fn verify_clients(builder: &mut SslContextBuilder, from: Option<&Path>) -> Result<(), String> {
    let mode = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    builder.set_verify(mode);
    let Some(path) = from else {
        return builder
            .set_default_verify_paths()
            .map_err(|error| format!("cannot read the system's authorities: {error}"));
    };
    let (authorities, store) = authorities(path, "--cafile")?;
    let failed = |error: ErrorStack| format!("--cafile {}: {}", path.display(), reasons(&error));
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
/// of a chain is held against its authority's, and one whose authority has none is refused: a
/// revoked authority's certificates are no better than revoked ones.
pub(super) fn authorities(path: &Path, option: &str) -> Result<(Vec<X509>, X509Store), String> {
    let pem = certificate::read(path, option)?;
    let failed = |error: ErrorStack| format!("{option} {}: {}", path.display(), reasons(&error));
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
            .set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)
            .map_err(failed)?;
    }
    Ok((authorities, store.build()))
}

const CRL: &[u8] = b"BEGIN X509 CRL";
