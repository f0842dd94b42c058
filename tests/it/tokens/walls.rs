//! Where tokens may not lead: `--allow-target`, and back to the bridge itself.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;

use super::{bridge, head, opened};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::files::replace;
use crate::wire::{Wire, Ws};

const REFUSED: &str = "1008 Target not allowed";

fn close(bridge: &Bridge, token: &str) -> String {
    let head = head(&format!("/?token={token}"));
    Ws::upgrade_with(Wire::connect(bridge.addr()), &head).close()
}

#[test]
fn only_what_is_allowed_is_reached_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (one, two) = (backend::echo(), backend::echo());
    let elsewhere: SocketAddr = (Ipv4Addr::new(127, 0, 0, 9), 0).into();
    let elsewhere = backend::serve_on(elsewhere, backend::echo_on);
    fs::create_dir(at("in")).unwrap();
    backend::echo_at(&at("in/s"));
    backend::echo_at(&at("out"));
    symlink("../out", at("in/link")).unwrap();
    fs::write(
        at("tokens"),
        format!(
            "one: {one}\ntwo: {two}\nname: localhost:{}\nelsewhere: {elsewhere}\n\
             in: unix_socket:{}\nout: unix_socket:{}\nup: unix_socket:{}/../out\n\
             link: unix_socket:{}\n",
            one.port(),
            at("in/s").display(),
            at("out").display(),
            at("in").display(),
            at("in/link").display(),
        ),
    )
    .unwrap();
    let ports = format!("--allow-target=127.0.0.1:{}", one.port());
    let sockets = format!("--allow-target=unix:{}", at("in").display());
    let bridge = bridge("TokenFile", &at("tokens"), &[&ports, &sockets]);
    for token in ["one", "name", "in"] {
        drop(opened(&bridge, &format!("/?token={token}")));
    }
    for token in ["two", "elsewhere", "out", "up"] {
        assert_eq!(close(&bridge, token), REFUSED, "{token}");
    }
    assert!(close(&bridge, "link").starts_with("1011 "));
    bridge.wait_for_line(|line| {
        line.starts_with(&format!("cannot connect to {two} ")) && line.contains("--allow-target")
    });
}

/// Within the directory of tokens, too, where less than all of it is allowed.
#[test]
fn no_link_leads_out_of_what_is_allowed_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for directory in ["public", "private"] {
        fs::create_dir(at(directory)).unwrap();
        backend::echo_at(&at(directory).join("s"));
    }
    symlink("../private/s", at("public/out")).unwrap();
    symlink("s", at("public/within")).unwrap();
    for (allowed, reached, refused) in [
        (
            "public",
            &["public/s", "public/within"][..],
            &["public/out"][..],
        ),
        (".", &["public/s", "public/out", "private/s"], &[]),
    ] {
        let allowed = folder.path().join(allowed);
        let allowed = format!("--allow-target=unix:{}", allowed.display());
        let bridge = bridge("UnixDomainSocketDirectory", folder.path(), &[&allowed]);
        for token in reached {
            drop(opened(&bridge, &format!("/?token={token}")));
        }
        for token in refused {
            assert!(close(&bridge, token).starts_with("1011 "), "{token}");
        }
    }
}

#[test]
fn no_session_comes_back_to_the_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, "").unwrap();
    let source = format!("--token-source={}", tokens.display());
    let bridge = Bridge::start(&["{port}", "--token-plugin=TokenFile", &source]);
    let port = bridge.port();
    let places = [
        "127.0.0.1",
        "127.1.2.3",
        "localhost",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
    ];
    let lines = places.iter().zip(0..);
    let lines: String = lines
        .map(|(place, n)| format!("t{n}: {place}:{port}\n"))
        .collect();
    replace(&tokens, &lines);
    bridge.wait_for_line(|line| line.contains(&format!("{} tokens in", places.len())));
    for (n, place) in places.iter().enumerate() {
        let close = close(&bridge, &format!("t{n}"));
        // A machine without IPv6 cannot reach those at all.
        let unreachable = place.contains('[') && close.starts_with("1011 ");
        assert!(close == REFUSED || unreachable, "{place}: {close}");
    }
}

/// Also where there is one target, and a Unix socket.
#[test]
fn a_fixed_target_that_is_the_bridge_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let (listen, target) = (
        format!("--unix-listen={}", socket.display()),
        format!("--unix-target={}/./s", folder.path().display()),
    );
    let _bridge = Bridge::start(&[&listen, &target]);
    assert_eq!(Ws::upgrade(Wire::connect_unix(&socket)).close(), REFUSED);
}

#[test]
fn a_wrong_rule_is_told_at_once() {
    let port = free_port().to_string();
    for (rule, word) in [
        ("--allow-target=10.0.0.0/33", "'10.0.0.0/33'"),
        ("--allow-target=h:0", "'h:0'"),
    ] {
        let args = [&port, "--target-config=/dev/null", rule];
        let bridge = Bridge::spawn(&args);
        assert_eq!(bridge.wait().code(), Some(2), "{rule}");
        assert!(bridge.stderr().contains(word), "{}", bridge.stderr());
    }
}
