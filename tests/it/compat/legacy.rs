//! `--legacy-protocols`. Against websockify as it was then, see `tests/it/legacy/old.rs`.

use super::{differs, theirs};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::Wire;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: bridge\r\nUpgrade: WebSocket\r\n\
                       Connection: Upgrade\r\nOrigin: http://page\r\n";

#[test]
fn first_drafts() {
    let target = backend::echo().to_string();
    let mut args = vec!["127.0.0.1:{port}", &target];
    if !theirs() {
        args.push("--legacy-protocols");
    }
    let bridge = Bridge::start(&args);
    let status = Wire::connect(bridge.addr()).request(REQUEST).status;
    assert_eq!(status, differs("legacy-protocols", 400, 101));
}
