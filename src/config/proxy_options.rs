//! What the options of proxies mean: those before us, and the one that we are.

use crate::cli::Options;
use crate::error::Failure;
use crate::proxies::{self, Trusted};
use crate::proxy_protocol::ProxyVersion;

/// Whom we believe.
pub(super) fn trusted(options: &Options) -> Result<proxies::Options, Failure> {
    let trusted = Trusted::parse(&options.trusted_proxy).map_err(Failure::usage)?;
    // Not by the parser's own means: a variable that says 0 would need it, too.
    if options.accept_proxy_protocol && trusted.is_empty() {
        return Err(Failure::usage(
            "--accept-proxy-protocol needs --trusted-proxy: nobody else may say who a client is",
        ));
    }
    Ok(proxies::Options {
        trusted,
        accept_header: options.accept_proxy_protocol,
    })
}

/// What we say to the target.
pub(super) fn announced(options: &Options) -> Result<Option<ProxyVersion>, Failure> {
    if options.demo && options.proxy_protocol.is_some() {
        return Err(Failure::usage(
            "--proxy-protocol is for a target that expects it: --demo brings one that does not",
        ));
    }
    Ok(options
        .proxy_protocol
        .as_deref()
        .map(|version| match version {
            "v1" => ProxyVersion::V1,
            _ => ProxyVersion::V2,
        }))
}
