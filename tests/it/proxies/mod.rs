//! Proxies before us, that say who their clients are, and the target behind us, that wants to know.

mod accepted; // the PROXY protocol from them
mod announced; // the PROXY protocol to the target
mod forwarded; // X-Forwarded-For and its like
mod real; // nginx, HAProxy and Caddy, as the README has them

use crate::backend;
use crate::bridge::Bridge;

/// A bridge in front of an echo that logs every request, with more options.
fn bridge(options: &[&str]) -> Bridge {
    let target = backend::echo().to_string();
    Bridge::start(&[&["-v", "127.0.0.1:{port}", &target], options].concat())
}

/// The first record of a session.
fn record(bridge: &Bridge) -> String {
    bridge.wait_for_line(|line| line.starts_with("session "))
}
