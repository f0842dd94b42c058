//! Who is let in, who is not, and what the log says of it.

use std::net::SocketAddr;

use crate::wire::{Response, UPGRADE, Wire, Ws};

mod basic; // user and password
mod client_cert; // names in certificates
mod fail2ban; // the line that fail2ban reads
mod guesses; // how fast passwords can be tried
mod origin; // pages of other sites
mod pages; // --web-auth, and the pass for browsers that send no password with a WebSocket

/// `jane:a:b` in base64.
const JANE: &str = "Authorization: Basic amFuZTphOmI=\r\n";

/// The hash of `secret` in bcrypt, at the least cost there is.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

/// `jane:secret` and `mary:secret` in base64.
const JANE_SECRET: &str = "Authorization: Basic amFuZTpzZWNyZXQ=\r\n";
const MARY_SECRET: &str = "Authorization: Basic bWFyeTpzZWNyZXQ=\r\n";

/// Asks for a WebSocket with more headers, each with its line's end, and expects a refusal.
fn refusal(addr: SocketAddr, headers: &str) -> Response {
    let mut wire = Wire::connect(addr);
    let response = wire.request(&format!("{UPGRADE}{headers}"));
    assert_ne!(response.status, 101, "{headers}");
    let length = response.header("content-length").unwrap().parse().unwrap();
    assert!(wire.take(length).is_some_and(|body| body.ends_with(b"\n")));
    response
}

/// Opens a WebSocket with more headers and shows that it works.
fn admitted(addr: SocketAddr, headers: &str) -> Ws {
    let mut ws = Ws::upgrade_with(Wire::connect(addr), &format!("{UPGRADE}{headers}"));
    ws.expect_echo("hello");
    ws
}
