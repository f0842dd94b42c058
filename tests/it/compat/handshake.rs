//! The upgrade: which requests become a session and how it is answered.

use super::differs;
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Frame, Response, UPGRADE, Wire, Ws};

/// The answer to one request head on a connection of its own.
fn answer(bridge: &Bridge, head: &str) -> Response {
    Wire::connect(bridge.addr()).request(head)
}

/// [`UPGRADE`] without the header `name`.
fn without(name: &str) -> String {
    let lines = UPGRADE.split_inclusive("\r\n");
    lines
        .filter(|line| !line.starts_with(&format!("{name}:")))
        .collect()
}

/// Any path upgrades, with any query: noVNC says /websockify, others say nothing.
#[test]
fn any_path() {
    let bridge = Bridge::to(&backend::echo());
    for path in ["/", "/websockify", "/a/b/c?token=x&y=%00", "//", "/../.."] {
        let response = answer(&bridge, &UPGRADE.replacen('/', path, 1));
        assert_eq!(response.status, 101, "{path}");
    }
}

/// The answer to the example of RFC 6455, 1.3, and nothing that was not asked for.
#[test]
fn accept_key() {
    let bridge = Bridge::to(&backend::echo());
    let response = answer(&bridge, UPGRADE);
    assert_eq!(response.status, 101);
    assert_eq!(
        response.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(
        response.header("upgrade").map(str::to_lowercase).as_deref(),
        Some("websocket")
    );
    assert_eq!(
        response
            .header("connection")
            .map(str::to_lowercase)
            .as_deref(),
        Some("upgrade")
    );
    assert_eq!(response.header("sec-websocket-protocol"), None);
    assert_eq!(response.header("sec-websocket-extensions"), None);
}

/// The drafts 7 and 8 share their wire format with version 13.
#[test]
fn versions() {
    let bridge = Bridge::to(&backend::echo());
    let version = |version| answer(&bridge, &UPGRADE.replace("13\r\n", version));
    for supported in ["7\r\n", "8\r\n", "13\r\n"] {
        assert_eq!(version(supported).status, 101, "version {supported}");
    }
    for unsupported in ["0\r\n", "6\r\n", "12\r\n", "14\r\n", "-13\r\n"] {
        let response = version(unsupported);
        let (status, header) = differs("version", (400, None), (426, Some("13, 8, 7")));
        assert_eq!(response.status, status, "version {unsupported}");
        assert_eq!(response.header("sec-websocket-version"), header);
    }
    assert_eq!(
        answer(&bridge, &without("Sec-WebSocket-Version")).status,
        400
    );
}

#[test]
fn keys() {
    let bridge = Bridge::to(&backend::echo());
    assert_eq!(answer(&bridge, &without("Sec-WebSocket-Key")).status, 400);
    for key in [
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25j",
        "!!!!IHNhbXBsZSBub25jZQ==",
    ] {
        let response = answer(&bridge, &UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", key));
        assert_eq!(response.status, differs("key", 101, 400), "key {key}");
    }
}

#[test]
fn connection_header() {
    let bridge = Bridge::to(&backend::echo());
    let with = |value| UPGRADE.replace("Connection: Upgrade", &format!("Connection: {value}"));
    for value in ["upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive"] {
        assert_eq!(
            answer(&bridge, &with(value)).status,
            101,
            "Connection: {value}"
        );
    }
    for head in [without("Connection"), with("keep-alive")] {
        assert_eq!(
            answer(&bridge, &head).status,
            differs("connection-header", 101, 400)
        );
    }
}

/// A request of the protocol before HTTP/1.1 cannot ask for an upgrade.
#[test]
fn http_1_0() {
    let bridge = Bridge::to(&backend::echo());
    let response = answer(&bridge, &UPGRADE.replace("HTTP/1.1", "HTTP/1.0"));
    assert_eq!(response.status, differs("http-1.0", 101, 400));
}

/// A head that is larger than any browser's is refused before it costs memory.
#[test]
fn large_head() {
    let bridge = Bridge::to(&backend::echo());
    for (size, ours) in [(16_000, 101), (60_000, 431)] {
        let head = format!("{UPGRADE}Cookie: {}\r\n", "x".repeat(size));
        assert_eq!(
            answer(&bridge, &head).status,
            differs("head-size", 101, ours),
            "{size}"
        );
    }
}

/// Who connects and does not ask for anything is shown the door, sooner or later.
#[test]
fn silence() {
    let bridge = Bridge::to(&backend::echo());
    let mut silent = Wire::connect(bridge.addr());
    let mut halfway = Wire::connect(bridge.addr());
    halfway.send(UPGRADE);
    silent.rest();
    if differs("head-time", false, true) {
        halfway.rest();
    }
}

/// The value of the Upgrade header may be spelled in any case, and without it there is no upgrade.
#[test]
fn upgrade_header() {
    let bridge = Bridge::to(&backend::echo());
    let shouted = UPGRADE.replace("Upgrade: websocket", "UPGRADE: WebSocket");
    assert_eq!(answer(&bridge, &shouted).status, 101);
    let list = UPGRADE.replace("Upgrade: websocket", "Upgrade: h2c, websocket");
    assert_eq!(
        answer(&bridge, &list).status,
        differs("upgrade-list", 405, 101)
    );
    assert_eq!(answer(&bridge, &without("Upgrade")).status, 405);
    assert_eq!(
        answer(&bridge, &UPGRADE.replacen("GET", "HEAD", 1)).status,
        405
    );
}

/// `binary` is the one subprotocol; a client that names none speaks it all the same.
#[test]
fn subprotocols() {
    let bridge = Bridge::to(&backend::echo());
    let binary = (101, Some("binary"));
    let refused = (400, None);
    let cases = [
        ("binary", binary),
        ("binary, base64", binary),
        ("base64,binary", binary),
        (
            "base64, binary",
            differs("subprotocol-space", refused, binary),
        ),
        (
            "chat , binary",
            differs("subprotocol-space", refused, binary),
        ),
        (
            "chat\r\nSec-WebSocket-Protocol: binary",
            differs("subprotocol-lines", refused, binary),
        ),
        ("base64", differs("base64", refused, (101, Some("base64")))),
        ("chat, mqtt", refused),
        ("Binary", refused),
        ("binaryish", refused),
    ];
    for (offer, expected) in cases {
        let head = format!("{UPGRADE}Sec-WebSocket-Protocol: {offer}\r\n");
        let response = answer(&bridge, &head);
        let answer = (response.status, response.header("sec-websocket-protocol"));
        assert_eq!(answer, expected, "offer {offer}");
    }
}

/// Extensions are not agreed to, whatever a browser offers.
#[test]
fn extensions() {
    let bridge = Bridge::to(&backend::echo());
    let head = format!("{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert_eq!(
        answer(&bridge, &head).header("sec-websocket-extensions"),
        None
    );
}

/// A client may speak before it has read the answer.
#[test]
fn early_data() {
    let bridge = Bridge::to(&backend::echo());
    let mut wire = Wire::connect(bridge.addr());
    let early = Frame::binary("early ").encode();
    wire.send([UPGRADE.as_bytes(), b"\r\n", &early].concat());
    assert_eq!(wire.response().status, 101);
    let mut ws = Ws { wire };
    ws.send(&Frame::binary("late"));
    let expected = differs("early-data", "late", "early late");
    assert_eq!(ws.recv_data(expected.len()), expected.as_bytes());
}

/// What follows the head is either a body or frames.
#[test]
fn body() {
    let bridge = Bridge::to(&backend::echo());
    for header in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let response = answer(&bridge, &format!("{UPGRADE}{header}\r\n"));
        assert_eq!(response.status, differs("body", 101, 400), "{header}");
    }
    let none = format!("{UPGRADE}Content-Length: 0\r\n");
    assert_eq!(answer(&bridge, &none).status, 101);
}

/// A client that has said everything with its request still hears the target.
#[test]
fn half_closed() {
    let bridge = Bridge::to(&backend::say("the answer"));
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!("{UPGRADE}\r\n"));
    wire.finish();
    assert_eq!(wire.response().status, 101);
    if differs("half-close", false, true) {
        assert_eq!(Ws { wire }.recv_data(10), b"the answer");
    }
}

/// A head that arrives a byte at a time is the same head.
#[test]
fn in_pieces() {
    let bridge = Bridge::to(&backend::echo());
    let mut wire = Wire::connect(bridge.addr());
    wire.stream().set_nodelay(true).unwrap();
    for byte in UPGRADE.bytes() {
        wire.send([byte]);
    }
    Ws::upgrade_with(wire, "").expect_echo("hello");
}

/// No answer tells a scanner which version runs here.
#[test]
fn server_header() {
    let bridge = Bridge::to(&backend::echo());
    for (head, status) in [(UPGRADE, 101), ("GET / HTTP/1.1\r\nHost: bridge\r\n", 405)] {
        let response = answer(&bridge, head);
        assert_eq!(response.status, status);
        let version = response
            .header("server")
            .is_some_and(|name| name.contains(char::is_numeric));
        assert_eq!(version, differs("server-header", true, false));
    }
}

/// How the answer writes the name of a header that clients look for.
#[test]
fn header_case() {
    let bridge = Bridge::to(&backend::echo());
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!("{UPGRADE}\r\n"));
    let wanted = differs(
        "header-case",
        "Sec-WebSocket-Accept",
        "Sec-Websocket-Accept",
    );
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(wire.take(1).unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains(&format!("\r\n{wanted}: ")), "{head}");
}
