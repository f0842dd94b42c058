//! Who is let in, who is not, and what the log says of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

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

/// Puts a file in the place of another at once, as `htpasswd` and configuration managers do.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// docs/PAST-BUGS.md names tests that are there.
#[test]
fn every_past_bug_has_its_test() {
    let table = include_str!("../../../docs/PAST-BUGS.md");
    let sources = [
        include_str!("basic.rs"),
        include_str!("client_cert.rs"),
        include_str!("guesses.rs"),
        include_str!("origin.rs"),
        include_str!("pages.rs"),
        include_str!("../proxies/accepted.rs"),
        include_str!("../proxies/announced.rs"),
        include_str!("../proxies/forwarded.rs"),
    ];
    let rooms = ["`auth::", "`proxies::"];
    let rows = table
        .lines()
        .filter(|line| rooms.iter().any(|room| line.contains(room)));
    let mut count = 0;
    for row in rows {
        let test = row.rsplit('`').nth(1).unwrap();
        let name = test.split("::").last().unwrap();
        assert!(
            sources
                .iter()
                .any(|it| it.contains(&format!("fn {name}()"))),
            "no test {test}"
        );
        count += 1;
    }
    assert!(count > 0);
}
