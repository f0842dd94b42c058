//! Where to, by token.

use std::path::Path;

use crate::bridge::Bridge;
use crate::wire::{Response, UPGRADE, Wire, Ws};

mod cluster; // three bridges that share a Redis
mod errors; // no target, and how a client learns of it
mod file; // TokenFile, TokenFileName
pub(crate) mod http_api; // BaseTokenAPI, JSONTokenApi
pub(crate) mod jwt; // JWTTokenApi
pub(crate) mod redis; // TokenRedis
mod sockets; // UnixDomainSocketDirectory
mod walls; // --allow-target, and loops

/// A bridge whose targets a plugin knows.
pub(crate) fn bridge(plugin: &str, source: &Path, more: &[&str]) -> Bridge {
    let plugin = format!("--token-plugin={plugin}");
    let source = format!("--token-source={}", source.display());
    Bridge::start(&[&["127.0.0.1:{port}", &plugin, &source], more].concat())
}

/// The head of a request for `target`.
pub(crate) fn head(target: &str) -> String {
    UPGRADE.replace("GET / ", &format!("GET {target} "))
}

/// Opens a WebSocket at `target` and shows that an echo is behind it.
pub(crate) fn opened(bridge: &Bridge, target: &str) -> Ws {
    let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head(target));
    ws.expect_echo("hello");
    ws
}

/// Asks for a WebSocket and expects none: the answer's head and its body.
fn refused(bridge: &Bridge, target: &str) -> (Response, String) {
    let mut wire = Wire::connect(bridge.addr());
    let response = wire.request(&head(target));
    assert_ne!(response.status, 101, "{target}");
    let length = response.header("content-length").unwrap().parse().unwrap();
    let body = String::from_utf8(wire.take(length).unwrap()).unwrap();
    (response, body)
}
