//! Tokens that are looked up over a network, or say themselves where to.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;

use super::{differs, theirs};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::tokens::http_api::Api;
use crate::tokens::jwt::{Keys, mint, seconds, spec, to};
use crate::tokens::redis::Server;
use crate::tokens::{bridge, head, opened};
use crate::wire::{Frame, Wire, Ws};

fn asking(plugin: &str, source: &str) -> Bridge {
    bridge(plugin, Path::new(source), &[])
}

/// Whether a token leads to an echo. Whoever has none is answered by us, and cut off by websockify.
fn leads(bridge: &Bridge, token: &str) -> bool {
    let mut wire = Wire::connect(bridge.addr());
    wire.send(format!("{}\r\n", head(&format!("/?token={token}"))));
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let Some(byte) = wire.take(1) else {
            return false;
        };
        answer.extend(byte);
    }
    if !answer.starts_with(b"HTTP/1.1 101 ") {
        return false;
    }
    let mut ws = Ws { wire };
    ws.send(&Frame::binary("hello"));
    ws.recv().is_some_and(|frame| frame.payload == b"hello")
}

#[test]
fn apis() {
    let api = Api::here();
    let target = backend::echo();
    for (plugin, kind) in [("BaseTokenAPI", "text"), ("JSONTokenApi", "json")] {
        let bridge = asking(plugin, &api.url(&format!("/{kind}/{target}/%s")));
        assert!(
            leads(&bridge, "good") && !leads(&bridge, "evil"),
            "{plugin}"
        );
    }
    let moved = asking(
        "JSONTokenApi",
        &api.url(&format!("/moved/2/json/{target}/%s")),
    );
    assert!(leads(&moved, "good"));
}

#[test]
fn tokens_in_addresses() {
    let api = Api::here();
    let bridge = asking("BaseTokenAPI", &api.url("/vm/%s"));
    assert!(!leads(&bridge, "a%2F..%2Fb%3Fx%3D1"));
    assert_eq!(
        api.asked(1)[0].1,
        differs("api-escape", "/vm/b?x=1", "/vm/a%2F..%2Fb%3Fx%3D1")
    );
}

#[test]
fn an_answer_with_the_end_of_a_line() {
    let api = Api::here();
    let url = api.url(&format!("/line/{}/%s", backend::echo()));
    let bridge = asking("BaseTokenAPI", &url);
    assert_eq!(leads(&bridge, "good"), differs("api-line", false, true));
}

#[test]
fn addresses_without_a_place_for_the_token() {
    let args = [
        "127.0.0.1:{port}",
        "--token-plugin=BaseTokenAPI",
        "--token-source=http://h/",
    ];
    if differs("api-source", true, false) {
        Bridge::start(&args);
    } else {
        assert_eq!(Bridge::spawn(&args).wait().code(), Some(2));
    }
}

#[test]
fn signed_tokens() {
    let keys = Keys::new();
    let claims = to(backend::echo());
    let (rsa, p256, ed) = (
        keys.rsa("rsa"),
        keys.ec("P-256"),
        keys.pair("ed", &["ED25519"]),
    );
    let secret = keys.secret(32);
    let ways = [
        (&rsa, keys.public("rsa"), "RS256"),
        (&rsa, keys.public("rsa"), "PS512"),
        (&p256, keys.public("P-256"), "ES256"),
        (&ed, keys.public("ed"), "EdDSA"),
        (&secret, secret.clone(), "HS256"),
    ];
    let past = format!("{claims},\"exp\":{}", seconds(-3600));
    let mut specs = Vec::new();
    for (private, _, algorithm) in &ways {
        specs.push(spec("pyjwt", private, algorithm, &claims, ""));
        specs.push(spec("pyjwt", private, algorithm, &past, ""));
    }
    let tokens = mint(&specs);
    for ((_, public, algorithm), tokens) in ways.iter().zip(tokens.chunks(2)) {
        let bridge = asking("JWTTokenApi", public.to_str().unwrap());
        assert!(leads(&bridge, &tokens[0]), "{algorithm}");
        assert!(!leads(&bridge, &tokens[1]), "{algorithm}");
        assert!(!leads(&bridge, "nonsense"), "{algorithm}");
    }
}

#[test]
fn encrypted_tokens() {
    let keys = Keys::new();
    let rsa = keys.rsa("rsa");
    let encrypt = ",\"encrypt\":{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}";
    let tokens = mint(&[spec(
        "jwcrypto",
        &rsa,
        "RS256",
        &to(backend::echo()),
        encrypt,
    )]);
    let bridge = asking("JWTTokenApi", rsa.to_str().unwrap());
    assert_eq!(
        leads(&bridge, &tokens[0]),
        differs("jwt-encrypted", false, true)
    );
}

#[test]
fn clocks_that_differ() {
    let keys = Keys::new();
    let rsa = keys.rsa("rsa");
    let claims = format!("{},\"exp\":{}", to(backend::echo()), seconds(-10));
    let tokens = mint(&[spec("pyjwt", &rsa, "RS256", &claims, "")]);
    let bridge = asking("JWTTokenApi", rsa.to_str().unwrap());
    assert_eq!(
        leads(&bridge, &tokens[0]),
        differs("jwt-leeway", false, true)
    );
}

#[test]
fn a_secret_with_the_end_of_a_line() {
    let keys = Keys::new();
    let secret = keys.secret(32);
    let tokens = mint(&[spec("pyjwt", &secret, "HS256", &to(backend::echo()), "")]);
    let line = fs::read_to_string(&secret).unwrap() + "\n";
    fs::write(&secret, line).unwrap();
    let bridge = asking("JWTTokenApi", secret.to_str().unwrap());
    assert_eq!(
        leads(&bridge, &tokens[0]),
        differs("jwt-secret", false, true)
    );
}

#[test]
fn a_key_that_is_none() {
    let args = [
        "127.0.0.1:{port}",
        "--token-plugin=JWTTokenApi",
        "--token-source=/nowhere",
    ];
    if differs("jwt-key", true, false) {
        Bridge::start(&args);
    } else {
        assert_eq!(Bridge::spawn(&args).wait().code(), Some(1));
    }
}

#[test]
fn redis() {
    let port = free_port();
    let server = Server::on(port, &[]);
    let target = backend::echo();
    let v6 = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    server.tell(&["SET", "text", &target.to_string()]);
    server.tell(&["SET", "json", &format!("{{\"host\": \"{target}\"}}")]);
    server.tell(&["SET", "a:b:text", &target.to_string()]);
    server.tell(&["SET", "v6", &v6.to_string()]);
    let bridge = asking("TokenRedis", &format!("127.0.0.1:{port}"));
    assert!(leads(&bridge, "text") && leads(&bridge, "json") && !leads(&bridge, "none"));
    assert_eq!(leads(&bridge, "v6"), differs("redis-v6", false, true));
    let bridge = asking("TokenRedis", &format!("127.0.0.1:{port}:0::\"a:b\""));
    drop(opened(&bridge, "/?token=text"));
}

#[test]
fn sources_that_are_none() {
    for source in ["h:port", "h:1:2:p:n:more"] {
        let source = format!("--token-source={source}");
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--token-plugin=TokenRedis", &source]);
        assert_eq!(
            bridge.wait().code(),
            differs("redis-source", Some(0), Some(2))
        );
        let text = "is not in the expected format";
        assert!(bridge.stderr().contains(text), "{}", bridge.stderr());
        assert_eq!(
            bridge.stderr().contains("2:p:n"),
            theirs() && source.contains(":p:")
        );
    }
}
