//! Clients of 2010 to 2016, and the servers that they had.

mod base64; // text frames, for browsers without binary ones
mod flash; // players, which ask before they connect
mod hixie; // the drafts before the framing of today
mod old; // websockify 0.3 to 0.8, asked the same to the byte

use ::base64::Engine;
use ::base64::prelude::BASE64_STANDARD;

use crate::backend;
use crate::bridge::Bridge;
use crate::wire::Wire;

/// The first published example of draft 76: two keys, the bytes behind them, and the answer.
const KEYS: &str = "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
                    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n";
const KEY3: &str = "^n:ds[4U";
const SOLUTION: &[u8] = b"8jKS'y:G*Co,Wxa-";

/// The request of draft 75, without its last blank line.
const HIXIE: &str = "GET /demo?token=x HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                     Host: example.com\r\nOrigin: http://example.com\r\n";

/// A bridge to an echo that takes old clients.
fn bridge() -> Bridge {
    let target = backend::echo().to_string();
    Bridge::start(&["127.0.0.1:{port}", &target, "--legacy-protocols"])
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// `bytes` in a frame of the first drafts.
fn frame(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[0], encoded(bytes).as_bytes(), &[0xff]].concat()
}

/// Bytes up to one of these, with it; to the end of the connection where it does not come.
fn until(wire: &mut Wire, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        match wire.take(1) {
            Some(byte) => read.extend(byte),
            None => break,
        }
    }
    read
}

/// An answer's head, as it came.
fn head(wire: &mut Wire) -> String {
    String::from_utf8(until(wire, b"\r\n\r\n")).unwrap()
}
