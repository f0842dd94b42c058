//! Headers that name a client, from those who may write them and from those who may not.

use std::fs;

use super::{bridge, record};
use crate::backend;
use crate::bridge::Bridge;
use crate::tls::{Authority, text};
use crate::wire::{Response, UPGRADE, Wire, Ws};

const TRUSTED: &str = "--trusted-proxy=127.0.0.1";

/// Everything that a client may try.
const CLAIMS: &str = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1;proto=https\r\n\
    X-Forwarded-Proto: https\r\nX-Real-IP: 192.0.2.1\r\n";

fn session(bridge: &Bridge, headers: &str) {
    let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &format!("{UPGRADE}{headers}"));
    ws.expect_echo("hello");
}

fn upgrade(bridge: &Bridge, headers: &str) -> Response {
    Wire::connect(bridge.addr()).request(&format!("{UPGRADE}{headers}"))
}

#[test]
fn the_client_of_a_trusted_proxy_is_named_everywhere() {
    for (headers, client) in [
        ("X-Forwarded-For: 198.51.100.9, 192.0.2.1\r\n", "192.0.2.1"),
        (
            "x-forwarded-for: 198.51.100.9\r\nX-Forwarded-For: 2001:db8::1, 127.0.0.1\r\n",
            "[2001:db8::1]",
        ),
        (
            "Forwarded: for=198.51.100.9, For=\"[2001:db8::1]:4711\";proto=http\r\n",
            "[2001:db8::1]:4711",
        ),
    ] {
        let bridge = bridge(&[TRUSTED]);
        session(&bridge, headers);
        let client = format!(" client={client} ");
        let record = record(&bridge);
        assert!(record.contains(&client), "{record}");
        let request = bridge.wait_for_line(|line| line.starts_with("request "));
        assert!(request.contains(&client), "{request}");
    }
}

#[test]
fn nobody_else_names_a_client() {
    for options in [&[][..], &["--trusted-proxy=192.0.2.0/24,unix,::1"]] {
        let bridge = bridge(options);
        session(&bridge, CLAIMS);
        let record = record(&bridge);
        assert!(record.contains(" client=127.0.0.1:"), "{record}");
        assert!(!bridge.stderr().contains("192.0.2.1"));
    }
}

#[test]
fn clients_are_named_for_each_request_of_a_connection() {
    let bridge = bridge(&[TRUSTED]);
    let mut wire = Wire::connect(bridge.addr());
    for client in ["192.0.2.1", "192.0.2.2"] {
        let head = format!("GET /{client} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {client}\r\n");
        let length = wire
            .request(&head)
            .header("content-length")
            .unwrap()
            .parse();
        wire.take(length.unwrap());
        let line = bridge.wait_for_line(|line| line.contains(&format!("path=\"/{client}\"")));
        assert!(line.contains(&format!("client={client} ")), "{line}");
    }
    let ws = Ws::upgrade_with(wire, &format!("{UPGRADE}X-Forwarded-For: 192.0.2.3\r\n"));
    drop(ws);
    let record = record(&bridge);
    assert!(record.contains(" client=192.0.2.3 "), "{record}");
}

#[test]
fn contradictions_and_nonsense_are_refused_and_told() {
    let bridge = bridge(&[TRUSTED]);
    for (headers, fault) in [
        (
            "Forwarded: for=198.51.100.9\r\nX-Forwarded-For: 192.0.2.1\r\n",
            "Forwarded and X-Forwarded-For name different clients",
        ),
        (
            "Forwarded: for=\"198.51.100.9\r\n",
            "The Forwarded header is malformed",
        ),
        (
            "X-Forwarded-For: 192.0.2.1, localhost\r\n",
            "The X-Forwarded-For header is malformed",
        ),
    ] {
        let mut wire = Wire::connect(bridge.addr());
        assert_eq!(
            wire.request(&format!("{UPGRADE}{headers}")).status,
            400,
            "{headers}"
        );
        assert_eq!(
            wire.take(fault.len() + 1).unwrap(),
            format!("{fault}\n").into_bytes()
        );
        // A proxy that takes this for an open WebSocket sends no requests behind it that count.
        assert_eq!(wire.rest(), b"");
        assert_eq!(
            Wire::connect(bridge.addr())
                .request(&format!("{UPGRADE}X-Forwarded-For: 192.0.2.7\r\n"))
                .status,
            101
        );
    }
    let line = bridge.wait_for_line(|line| line.starts_with("refused a request by the proxy "));
    assert!(line.contains(" client=127.0.0.1:"), "{line}");
}

#[test]
fn who_comes_by_a_unix_socket_is_trusted_by_a_word_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bridge");
    let target = backend::echo().to_string();
    for (trusted, client) in [
        ("unix", " client=192.0.2.1 "),
        ("127.0.0.0/8,0.0.0.0/0", " client=unix:uid="),
    ] {
        let bridge = Bridge::start(&[
            "--unix-listen",
            text(&socket),
            "--trusted-proxy",
            trusted,
            &target,
        ]);
        let head = format!("{UPGRADE}X-Forwarded-For: 192.0.2.1\r\n");
        drop(Ws::upgrade_with(Wire::connect_unix(&socket), &head));
        let record = record(&bridge);
        assert!(record.contains(client), "{record}");
    }
}

#[test]
fn each_forwarded_address_has_its_own_share() {
    let bridge = bridge(&[TRUSTED, "--max-connections-per-address=1"]);
    let from = |client: &str| format!("X-Forwarded-For: {client}\r\n");
    let open = |client| {
        let head = format!("{UPGRADE}{}", from(client));
        Ws::upgrade_with(Wire::connect(bridge.addr()), &head)
    };
    // What a proxy keeps open for later is nobody's.
    let _kept: Vec<Wire> = (0..3).map(|_| Wire::connect(bridge.addr())).collect();
    let (first, _second) = (open("192.0.2.1"), open("192.0.2.2"));
    let refused = upgrade(&bridge, &from("192.0.2.1"));
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("10"))
    );
    bridge.wait_for_line(|line| {
        line == "turned away client=192.0.2.1 by --max-connections-per-address"
    });
    drop(first);
    bridge.wait_for_line(|line| line.starts_with("session client=192.0.2.1 "));
    let again = std::iter::repeat_with(|| upgrade(&bridge, &from("192.0.2.1")).status);
    assert_eq!(again.into_iter().find(|status| *status != 503), Some(101));
}

#[test]
fn tls_up_to_a_trusted_proxy_counts_as_tls() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), "a page").unwrap();
    let web = format!("--web={}", folder.path().display());
    let ca = Authority::new();
    let pair = ca.here();
    let get = |bridge: &Bridge, headers: &str| {
        let head = format!("GET /page.html HTTP/1.1\r\nHost: h\r\n{headers}");
        Wire::connect(bridge.addr()).request(&head)
    };
    let https = "X-Forwarded-Proto: https\r\n";
    let own = |more: &[&str]| bridge(&[&pair.options()[..], &[&web, "--ssl-only"], more].concat());
    let proxied = own(&[TRUSTED]);
    let page = get(&proxied, https);
    assert_eq!(page.status, 200);
    assert!(page.header("strict-transport-security").is_some());
    assert_eq!(upgrade(&proxied, https).status, 101);
    for headers in [
        "",
        "X-Forwarded-Proto: http\r\n",
        "X-Forwarded-Proto: https, http\r\n",
    ] {
        assert_eq!(get(&proxied, headers).status, 308, "{headers}");
        assert_eq!(upgrade(&proxied, headers).status, 403, "{headers}");
    }
    let direct = own(&[]);
    assert_eq!(get(&direct, CLAIMS).status, 308);
    assert_eq!(upgrade(&direct, CLAIMS).status, 403);
    // It is no certificate.
    let authorities = ca.certificate();
    let verifying = own(&[TRUSTED, "--verify-client", "--cafile", text(&authorities)]);
    assert_eq!(get(&verifying, https).status, 308);
    assert_eq!(upgrade(&verifying, https).status, 403);
}

#[test]
fn a_pass_is_for_tls_where_the_proxy_has_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), "a page").unwrap();
    let bridge = bridge(&[
        TRUSTED,
        "--auth-plugin=BasicHTTPAuth",
        "--auth-source=jane:a:b",
        "--web-auth",
        &format!("--web={}", folder.path().display()),
    ]);
    let head = "GET /page.html HTTP/1.1\r\nHost: bridge\r\nAuthorization: Basic amFuZTphOmI=\r\n";
    for (headers, secure) in [("", false), ("X-Forwarded-Proto: https\r\n", true)] {
        let page = Wire::connect(bridge.addr()).request(&format!("{head}{headers}"));
        let cookie = page.header("set-cookie").unwrap();
        assert_eq!(cookie.starts_with("__Host-"), secure, "{cookie}");
        assert_eq!(cookie.ends_with("; Secure"), secure, "{cookie}");
        let pass = cookie.split(';').next().unwrap();
        let pass = format!("Cookie: {pass}\r\nX-Forwarded-For: 192.0.2.1\r\n{headers}");
        assert_eq!(upgrade(&bridge, &pass).status, 101);
    }
}
