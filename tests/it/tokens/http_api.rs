//! `BaseTokenAPI` and `JSONTokenApi`: an HTTP server that knows where to.

use std::path::Path;
use std::process::Command;

use super::{bridge, opened, refused};
use crate::backend;
use crate::bridge::Bridge;
use crate::process::Process;
use crate::real::{python, script};
use crate::tls::{Authority, text};

/// tests/clients/token_api.py, until this value ends.
pub(crate) struct Api {
    process: Process,
    port: u16,
}

impl Api {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command: Command = python();
        command.arg(script("clients/token_api.py")).args(args);
        let process = Process::spawn(&mut command, None);
        let port = process.wait_until("port", |seen| {
            let (port, _) = seen.stdout.split_once('\n')?;
            port.parse().ok()
        });
        Self { process, port }
    }

    pub(crate) fn here() -> Self {
        Self::start(&["127.0.0.1"])
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}{rest}", self.port)
    }

    /// What it was asked so far, when that is so much: the number of the connection, the path and
    /// the credentials.
    pub(crate) fn asked(&self, count: usize) -> Vec<(u32, String, String)> {
        let asked = self.process.wait_until("requests", |seen| {
            let complete = seen
                .stdout
                .split_inclusive('\n')
                .filter(|it| it.ends_with('\n'));
            let lines: Vec<String> = complete.skip(1).map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        });
        let line = |line: String| {
            let (number, rest) = line.trim_end().split_once(' ').unwrap();
            let (path, credentials) = rest.split_once(' ').unwrap();
            (
                number.parse().unwrap(),
                path.to_owned(),
                credentials.to_owned(),
            )
        };
        asked.into_iter().map(line).collect()
    }
}

fn text_api(source: &str) -> Bridge {
    bridge("BaseTokenAPI", Path::new(source), &[])
}

fn json_api(source: &str) -> Bridge {
    bridge("JSONTokenApi", Path::new(source), &[])
}

#[test]
fn text_and_json_over_one_connection() {
    let api = Api::here();
    let target = backend::echo();
    for (bridge, before) in [
        (text_api(&api.url(&format!("/text/{target}/%s"))), 0),
        (json_api(&api.url(&format!("/json/{target}/%s"))), 4),
    ] {
        for _ in 0..3 {
            drop(opened(&bridge, "/?token=good"));
        }
        assert_eq!(refused(&bridge, "/?token=evil").0.status, 404);
        bridge.wait_for_line(|line| line.contains("reason=\"unknown token\""));
        let log = bridge.stderr();
        assert!(!log.contains("evil") && !log.contains("good"), "{log}");
        // The probe at start has a connection of its own, and asks nothing.
        let asked = api.asked(before + 4).split_off(before);
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert!(asked.iter().all(|it| it.0 == asked[0].0), "{asked:?}");
    }
}

#[test]
fn a_token_stays_in_its_place() {
    let api = Api::here();
    let bridge = text_api(&api.url("/vm/%s?list=all"));
    assert_eq!(
        refused(&bridge, "/?token=..%2Fb%3Fx%3D1%23y%0d%0aA:b")
            .0
            .status,
        404
    );
    assert_eq!(refused(&bridge, "/?token=..").0.status, 404);
    let paths: Vec<_> = api.asked(1).into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(paths, ["/vm/..%2Fb%3Fx%3D1%23y%0D%0AA%3Ab?list=all"]);
}

#[test]
fn redirects_are_followed_to_a_point_and_take_no_password_along() {
    let (api, other) = (Api::here(), Api::here());
    let target = backend::echo();
    let user = |url: &str| url.replace("http://", "http://me:s%%40cret@");
    let url = user(&api.url(&format!("/moved/5/json/{target}/%s")));
    drop(opened(&json_api(&url), "/?token=good"));
    let asked = api.asked(6);
    assert_eq!(asked.len(), 6);
    assert!(
        asked.iter().all(|it| it.2 == "Basic bWU6c0BjcmV0"),
        "{asked:?}"
    );

    let away = other.url(&format!("/json/{target}/"));
    let bridge = json_api(&user(&api.url(&format!("/at/{away}%s"))));
    drop(opened(&bridge, "/?token=good"));
    assert_eq!(other.asked(1)[0].2, "None");

    let url = api.url(&format!("/moved/6/json/{target}/%s"));
    unavailable(&json_api(&url), "too many redirects");
    let url = api.url("/at/ftp:%%2F%%2Fh/%s");
    unavailable(&json_api(&url), "redirected to where we do not go");
}

fn unavailable(bridge: &Bridge, reason: &str) {
    let (response, body) = refused(bridge, "/?token=good");
    assert_eq!(response.status, 503, "{reason}");
    assert!(body.contains("at the moment") && response.header("retry-after").is_some());
    bridge.wait_for_line(|line| line.starts_with("token failed ") && line.contains(reason));
    assert!(!bridge.stderr().contains("good"));
}

#[test]
fn a_server_that_does_not_say_where_to() {
    let api = Api::here();
    for (path, reason) in [
        ("/status/500/%s", "the server answers 500"),
        ("/status/429/%s", "the server answers 429"),
        ("/status/304/%s", "the server answers 304"),
        ("/status/200/%s", "does not say where to"),
        ("/endless/%s", "length limit exceeded"),
        ("/silent/%s", "no answer in time"),
    ] {
        let bridge = text_api(&api.url(path));
        unavailable(&bridge, reason);
    }
    let target = backend::echo();
    let bridge = json_api(&api.url(&format!("/text/{target}/%s")));
    unavailable(&bridge, "it is no JSON object");
    let known = api.url("/status/401/%s").replace("://", "://me:old@");
    unavailable(&text_api(&known), "the server answers 401");
    for status in [401, 403, 404, 410] {
        let bridge = text_api(&api.url(&format!("/status/{status}/%s")));
        assert_eq!(refused(&bridge, "/?token=good").0.status, 404);
    }
}

/// The program starts, says so, and finds the server when there is one.
#[test]
fn no_server_yet() {
    let port = crate::bridge::free_port();
    let bridge = text_api(&format!("http://127.0.0.1:{port}/%s"));
    bridge.wait_for_line(|line| {
        line.contains("BaseTokenAPI cannot be asked at the moment") && line.contains("refused")
    });
    unavailable(&bridge, "Connection refused");
}

#[test]
fn tls_is_verified() {
    let authority = Authority::new();
    let pair = authority.here();
    let api = Api::start(&["127.0.0.1", text(&pair.certificate), text(&pair.key)]);
    let source = format!("https://localhost:{}/json/{}/%s", api.port, backend::echo());
    let certificates = authority.certificate();
    let args = [
        "127.0.0.1:{port}",
        "--token-plugin=JSONTokenApi",
        "--token-source",
    ];
    let args = [&args[..], &[source.as_str()]].concat();
    let trusting = Bridge::start_with(&args, |it| it.env("SSL_CERT_FILE", &certificates));
    drop(opened(&trusting, "/?token=good"));

    let bridge = json_api(&source);
    bridge.wait_for_line(|line| line.contains("cannot be asked at the moment: TLS: "));
    unavailable(&bridge, "TLS: ");
    let elsewhere = authority.issue("DNS:elsewhere");
    let api = Api::start(&[
        "127.0.0.1",
        text(&elsewhere.certificate),
        text(&elsewhere.key),
    ]);
    let source = format!("https://localhost:{}/%s", api.port);
    let args = [&args[..3], &[source.as_str()]].concat();
    let bridge = Bridge::start_with(&args, |it| it.env("SSL_CERT_FILE", &certificates));
    unavailable(&bridge, "TLS: ");
    assert_eq!(api.asked(0), []);
}

/// A password must not be asked for over TLS and then be said without.
#[test]
fn no_way_from_tls_to_none() {
    let authority = Authority::new();
    let pair = authority.here();
    let (plain, target) = (Api::here(), backend::echo());
    let api = Api::start(&["127.0.0.1", text(&pair.certificate), text(&pair.key)]);
    let away = plain.url(&format!("/json/{target}/"));
    let source = format!("https://localhost:{}/at/{away}%s", api.port);
    let args = [
        "127.0.0.1:{port}",
        "--token-plugin=JSONTokenApi",
        "--token-source",
        &source,
    ];
    let certificates = authority.certificate();
    let bridge = Bridge::start_with(&args, |it| it.env("SSL_CERT_FILE", &certificates));
    unavailable(&bridge, "redirected to where we do not go");
    assert_eq!(plain.asked(0), []);
}

#[test]
fn over_ipv6() {
    let api = Api::start(&["::1"]);
    let target = backend::echo();
    let bridge = json_api(&format!("http://[::1]:{}/json/{target}/%s", api.port));
    drop(opened(&bridge, "/?token=good"));
}

#[test]
fn what_is_no_source() {
    for source in ["", "http://h/vm", "http://%s/", "http://me:secret@h/%d"] {
        let source = format!("--token-source={source}");
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", "--token-plugin=BaseTokenAPI", &source]);
        assert_eq!(bridge.wait().code(), Some(2), "{source}");
        assert!(!bridge.stderr().contains("secret"));
    }
}
