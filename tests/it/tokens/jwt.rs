//! `JWTTokenApi`: tokens that two other implementations have made.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{bridge, opened, refused};
use crate::backend;
use crate::bridge::Bridge;
use crate::files::replace;
use crate::real::{python, script};

/// Keys as an administrator would make them, private and public.
pub(crate) struct Keys(TempDir);

impl Keys {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A pair by `openssl genpkey`; the private key's file.
    pub(crate) fn pair(&self, name: &str, algorithm: &[&str]) -> PathBuf {
        let (private, public) = (self.path(name), self.public(name));
        let run = |args: &[&str]| {
            let output = Command::new("openssl").args(args).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        let (private, public) = (private.to_str().unwrap(), public.to_str().unwrap());
        run(&[&["genpkey", "-out", private, "-algorithm"], algorithm].concat());
        run(&["pkey", "-in", private, "-pubout", "-out", public]);
        self.path(name)
    }

    pub(crate) fn rsa(&self, name: &str) -> PathBuf {
        self.pair(name, &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
    }

    pub(crate) fn ec(&self, curve: &str) -> PathBuf {
        let curve_option = format!("ec_paramgen_curve:{curve}");
        self.pair(curve, &["EC", "-pkeyopt", &curve_option])
    }

    /// A secret of so many bytes, in base64url.
    pub(crate) fn secret(&self, bytes: usize) -> PathBuf {
        let path = self.path(&format!("secret{bytes}"));
        let size = bytes.to_string();
        let made = Command::new("openssl")
            .args(["rand", "-base64", &size])
            .output();
        let text = String::from_utf8(made.unwrap().stdout).unwrap();
        let text = text.replace('\n', "").replace('+', "-").replace('/', "_");
        fs::write(&path, text.trim_end_matches('=')).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn public(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.pub"))
    }
}

/// A token to be made; see tests/clients/mint_jwts.py.
pub(crate) fn spec(by: &str, key: &Path, alg: &str, claims: &str, more: &str) -> String {
    let key = key.display();
    format!(
        "{{\"by\":\"{by}\",\"key\":\"{key}\",\"alg\":\"{alg}\",\"claims\":{{{claims}}}{more}}}\n"
    )
}

pub(crate) fn mint(specs: &[String]) -> Vec<String> {
    let mut child = python()
        .arg(script("clients/mint_jwts.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(specs.concat().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "no tokens were made");
    let made = String::from_utf8(output.stdout).unwrap();
    let made: Vec<String> = made.lines().map(str::to_owned).collect();
    assert_eq!(made.len(), specs.len());
    made
}

pub(crate) fn to(target: SocketAddr) -> String {
    format!("\"host\":\"{}\",\"port\":{}", target.ip(), target.port())
}

/// Seconds since 1970, so many from now.
pub(crate) fn seconds(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + from_now
}

fn admits(bridge: &Bridge, tokens: &[String]) {
    for token in tokens {
        drop(opened(bridge, &format!("/?token={token}")));
    }
}

/// Each token is refused, and the log says why without it.
fn refuses(key: &Path, options: &[&str], tokens: &[(String, &str)]) {
    for (token, reason) in tokens {
        // One of its own for each: who guesses is made to wait.
        let bridge = bridge("JWTTokenApi", key, options);
        let (response, body) = refused(&bridge, &format!("/?token={token}"));
        assert_eq!(response.status, 404);
        assert!(body.contains("not known"), "{body}");
        bridge.wait_for_line(|line| line.contains("a JWT does not count") && line.contains(reason));
        assert!(!bridge.stderr().contains(token.as_str()));
    }
}

#[test]
fn every_way_to_sign() {
    let keys = Keys::new();
    let claims = to(backend::echo());
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let ways: [(PathBuf, PathBuf, &[&str]); 8] = [
        (keys.rsa("rsa"), keys.public("rsa"), &rsa),
        (keys.ec("P-256"), keys.public("P-256"), &["ES256"]),
        (keys.ec("P-384"), keys.public("P-384"), &["ES384"]),
        (keys.ec("P-521"), keys.public("P-521"), &["ES512"]),
        (keys.ec("secp256k1"), keys.public("secp256k1"), &["ES256K"]),
        (keys.pair("ed", &["ED25519"]), keys.public("ed"), &["EdDSA"]),
        (
            keys.pair("ed448", &["ED448"]),
            keys.public("ed448"),
            &["EdDSA"],
        ),
        (
            keys.secret(64),
            keys.path("secret64"),
            &["HS256", "HS384", "HS512"],
        ),
    ];
    for (private, public, algorithms) in ways {
        let mut specs = Vec::new();
        for algorithm in algorithms {
            for by in ["jwcrypto", "pyjwt"] {
                specs.push(spec(by, &private, algorithm, &claims, ""));
            }
        }
        let tokens = mint(&specs);
        admits(&bridge("JWTTokenApi", &public, &[]), &tokens);
        // The private key's file has the public key in it.
        admits(&bridge("JWTTokenApi", &private, &[]), &tokens[..1]);
    }
}

#[test]
fn every_way_to_encrypt() {
    let keys = Keys::new();
    let claims = to(backend::echo());
    let all = [
        "A128GCM",
        "A192GCM",
        "A256GCM",
        "A128CBC-HS256",
        "A192CBC-HS384",
        "A256CBC-HS512",
    ];
    let some = ["A128GCM", "A256CBC-HS512"];
    let rsa = keys.rsa("rsa");
    let (p256, p521) = (keys.ec("P-256"), keys.ec("P-521"));
    let (short, long) = (keys.secret(32), keys.secret(64));
    let ways: [(&Path, &str, &str, &[&str]); 10] = [
        (&rsa, "RS256", "RSA-OAEP", &all),
        (&rsa, "PS256", "RSA-OAEP-256", &some),
        (&p256, "ES256", "ECDH-ES", &all),
        (&p256, "ES256", "ECDH-ES+A128KW", &some),
        (&p256, "ES256", "ECDH-ES+A192KW", &some),
        (&p521, "ES512", "ECDH-ES+A256KW", &some),
        (&short, "HS256", "A256KW", &all),
        (&short, "HS256", "A256GCMKW", &some),
        (&short, "HS256", "dir", &["A256GCM", "A128CBC-HS256"]),
        (&long, "HS512", "dir", &["A256CBC-HS512"]),
    ];
    let mut specs = Vec::new();
    for (key, sign, wrap, contents) in ways {
        for enc in contents {
            let encrypt = format!(",\"encrypt\":{{\"alg\":\"{wrap}\",\"enc\":\"{enc}\"}}");
            specs.push((key, spec("jwcrypto", key, sign, &claims, &encrypt)));
        }
    }
    let lines: Vec<String> = specs.iter().map(|(_, line)| line.clone()).collect();
    let tokens = mint(&lines);
    for key in [&rsa, &p256, &p521, &short, &long] {
        let of_key = specs.iter().zip(&tokens).filter(|((of, _), _)| of == key);
        let of_key: Vec<String> = of_key.map(|(_, token)| token.clone()).collect();
        assert!(!of_key.is_empty());
        admits(&bridge("JWTTokenApi", key, &[]), &of_key);
    }
}

/// Whoever knows the public key knows nothing that counts.
#[test]
fn what_was_not_made_with_the_key() {
    let keys = Keys::new();
    let claims = to(backend::echo());
    let (rsa, other) = (keys.rsa("rsa"), keys.rsa("other"));
    let (p256, secret) = (keys.ec("P-256"), keys.secret(32));
    let public = keys.public("rsa");
    let gcm = ",\"encrypt\":{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}";
    let tokens = mint(&[
        spec("jwcrypto", &rsa, "RS256", &claims, ""),
        spec("jwcrypto", &other, "RS256", &claims, ""),
        spec("jwcrypto", &p256, "ES256", &claims, ""),
        spec("jwcrypto", &secret, "HS256", &claims, ""),
        spec("hand", &public, "HS256", &claims, ""),
        spec("hand", &rsa, "none", &claims, ""),
        spec(
            "hand",
            &rsa,
            "RS256",
            &claims,
            ",\"header\":{\"crit\":[\"exp\"]}",
        ),
        spec("hand", &public, "none", &claims, gcm),
        spec("jwcrypto", &rsa, "RS256", &claims, gcm),
    ]);
    let [
        right,
        other,
        ec,
        mac,
        confused,
        none,
        critical,
        unsigned,
        nested,
    ] = &tokens[..]
    else {
        panic!()
    };
    let parts: Vec<&str> = right.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!()
    };
    let cut = format!("{header}.{payload}.{}", &signature[..340]);
    let nested: Vec<&str> = nested.split('.').collect();
    let [jwe, key, iv, text, tag] = nested[..] else {
        panic!()
    };
    const NOT_SO: &str = "not signed in a way that goes with the key";
    const WRONG: &str = "its signature is wrong";
    const CLOSED: &str = "cannot be decrypted";
    refuses(
        &rsa,
        &[],
        &[
            (other.clone(), WRONG),
            (ec.clone(), NOT_SO),
            (mac.clone(), NOT_SO),
            (confused.clone(), NOT_SO),
            (none.clone(), NOT_SO),
            (critical.clone(), "crit"),
            (unsigned.clone(), NOT_SO),
            (cut, WRONG),
            (format!("{header}.{payload}."), WRONG),
            (format!("{header}.e30.{signature}"), WRONG),
            (format!("{jwe}.{key}.{iv}.{text}.{}", &tag[..4]), CLOSED),
            (format!("{jwe}.{key}.{iv}.{text}."), CLOSED),
            (format!("{jwe}.{key}..{text}.{tag}"), CLOSED),
            (format!("{jwe}..{iv}.{text}.{tag}"), CLOSED),
            (format!("{jwe}.{key}.{iv}.AAAA.{tag}"), CLOSED),
            ("nonsense".into(), "no JWT"),
        ],
    );
    refuses(
        &keys.public("rsa"),
        &[],
        &[(nested.join("."), "a public one")],
    );
    admits(
        &bridge("JWTTokenApi", &rsa, &[]),
        &[right.clone(), nested.join(".")],
    );
}

#[test]
fn when_by_whom_and_for_whom() {
    let keys = Keys::new();
    let rsa = keys.rsa("rsa");
    let target = to(backend::echo());
    let claims = |more: &str| spec("pyjwt", &rsa, "RS256", &format!("{target}{more}"), "");
    let tokens = mint(&[
        claims(",\"iss\":\"me\",\"aud\":\"vnc\""),
        claims(",\"iss\":\"me\",\"aud\":[\"ssh\",\"vnc\"]"),
        claims(",\"iss\":\"you\",\"aud\":\"vnc\""),
        claims(",\"iss\":\"me\",\"aud\":\"ssh\""),
        claims(&format!(",\"exp\":{}", seconds(-3600))),
        claims(&format!(",\"nbf\":{}", seconds(3600))),
        // What both clocks may differ by.
        claims(&format!(
            ",\"exp\":{},\"nbf\":{}",
            seconds(-10),
            seconds(10)
        )),
        spec("pyjwt", &rsa, "RS256", "\"port\":1", ""),
    ]);
    let [first, second, issuer, audience, old, new, within, nowhere] = &tokens[..] else {
        panic!()
    };
    let options = ["--token-issuer=me", "--token-audience=vnc"];
    admits(
        &bridge("JWTTokenApi", &rsa, &options),
        &[first.clone(), second.clone()],
    );
    let wrong = [
        (issuer.clone(), "another issuer"),
        (audience.clone(), "another audience"),
    ];
    refuses(&rsa, &options, &wrong);
    admits(
        &bridge("JWTTokenApi", &rsa, &[]),
        &[first.clone(), within.clone()],
    );
    let wrong = [
        (old.clone(), "it has expired"),
        (new.clone(), "it can not be used yet"),
        (nowhere.clone(), "host is no text"),
    ];
    refuses(&rsa, &[], &wrong);
}

#[test]
fn a_new_key_without_a_restart() {
    let keys = Keys::new();
    let (old, new) = (keys.rsa("old"), keys.rsa("new"));
    let claims = to(backend::echo());
    let tokens = mint(&[
        spec("pyjwt", &old, "RS256", &claims, ""),
        spec("pyjwt", &new, "RS256", &claims, ""),
    ]);
    let key = keys.path("key");
    fs::copy(keys.public("old"), &key).unwrap();
    let bridge = bridge("JWTTokenApi", &key, &[]);
    let mut session = opened(&bridge, &format!("/?token={}", tokens[0]));
    assert_eq!(
        refused(&bridge, &format!("/?token={}", tokens[1])).0.status,
        404
    );
    replace(&key, &fs::read_to_string(keys.public("new")).unwrap());
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line == "reloaded");
    admits(&bridge, &tokens[1..]);
    assert_eq!(
        refused(&bridge, &format!("/?token={}", tokens[0])).0.status,
        404
    );
    replace(
        &key,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    );
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line.starts_with("not reloaded") && line.contains("no key"));
    admits(&bridge, &tokens[1..]);
    session.expect_echo("still there");
}

/// A key that nothing can be done with is told at start.
#[test]
fn what_is_no_key() {
    let keys = Keys::new();
    let short = keys.path("short");
    fs::write(&short, "secret_sauce").unwrap();
    for (key, part) in [
        (short, "9 bytes long, and must have 32"),
        (keys.path("nowhere"), "No such file"),
    ] {
        let source = format!("--token-source={}", key.display());
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--token-plugin=JWTTokenApi", &source]);
        assert_eq!(bridge.wait().code(), Some(1));
        let stderr = bridge.stderr();
        assert!(
            stderr.contains(part) && !stderr.contains("sauce"),
            "{stderr}"
        );
    }
    let options = [
        "127.0.0.1:{port}",
        "--token-plugin=TokenFile",
        "--token-source=/x",
    ];
    let bridge = Bridge::spawn(&[&options[..], &["--token-issuer=me"]].concat());
    assert_eq!(bridge.wait().code(), Some(2));
    assert!(
        bridge
            .stderr()
            .contains("--token-issuer is for JWTTokenApi only")
    );
}

/// The leeway is the session's, too: this token expired almost so long ago.
#[test]
fn a_session_ends_with_its_token() {
    let keys = Keys::new();
    let rsa = keys.rsa("rsa");
    let ending = bridge("JWTTokenApi", &rsa, &["--token-expiry"]);
    let staying = bridge("JWTTokenApi", &rsa, &[]);
    let left = ",\"left\":-55";
    let tokens = mint(&[spec("pyjwt", &rsa, "RS256", &to(backend::echo()), left)]);
    let path = format!("/?token={}", tokens[0]);
    let (mut short, mut long) = (opened(&ending, &path), opened(&staying, &path));
    assert_eq!(short.close(), "1008 Session expired");
    long.expect_echo("still here");
    ending.wait_for_line(|line| line.starts_with("session ") && line.contains("by=server"));
}
