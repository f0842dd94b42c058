//! TLS, towards clients and towards targets, with certificates made for each test.

mod authority; // a certificate authority of the test's own, by the openssl command
mod certificates; // which certificate a client gets
mod clients; // --verify-client
mod handshake; // plain and TLS on one port, silence, garbage, --ssl-only
mod kernel; // where the kernel does TLS, sessions outlive the process
mod offered; // versions, suites, resumption, renegotiation
mod real; // browsers and other programs, unmodified
mod relay; // every byte, both ways at once
mod reload; // new certificates under live sessions
mod start; // files that are none
mod target; // --ssl-target
mod tunnel; // the harness's clients and targets, inside TLS

pub(crate) use authority::{Authority, Pair};
pub(crate) use offered::agreed;
pub(crate) use tunnel::{Dialer, open, server};

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::backend;
use crate::bridge::Bridge;

/// A bridge in front of an echo, with more options.
fn bridge_with(options: &[&str]) -> Bridge {
    let target = backend::echo().to_string();
    let mut args = options.to_vec();
    args.extend(["127.0.0.1:{port}", &target]);
    Bridge::start(&args)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `openssl s_client` said after one request. It ends when the bridge closes the connection.
pub(crate) fn s_client(addr: SocketAddr, args: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-connect", &addr.to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    // Where there was no handshake, nobody reads it.
    let _ = child.stdin.take().unwrap().write_all(request);
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
