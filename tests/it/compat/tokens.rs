//! Where to, by token.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{differs, theirs};
use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{UPGRADE, Wire, Ws};

fn bridge(plugin: &str, source: &Path, more: &[&str]) -> Bridge {
    let plugin = format!("--token-plugin={plugin}");
    let source = format!("--token-source={}", source.display());
    Bridge::start(&[&["127.0.0.1:{port}", &plugin, &source], more].concat())
}

/// What a request for `target` comes to: a status, or 0 where the connection ends without a word.
fn status_with(bridge: &Bridge, target: &str, headers: &str) -> u16 {
    let mut wire = Wire::connect(bridge.addr());
    let head = UPGRADE.replace("GET / ", &format!("GET {target} "));
    wire.send(format!("{head}{headers}\r\n"));
    let Some(line) = wire.take("HTTP/1.1 101".len()) else {
        return 0;
    };
    String::from_utf8_lossy(&line[9..]).parse().unwrap()
}

fn status(bridge: &Bridge, target: &str) -> u16 {
    status_with(bridge, target, "")
}

/// Opens a WebSocket at `target` and shows that an echo is behind it.
fn echoes(bridge: &Bridge, target: &str) {
    let head = UPGRADE.replace("GET / ", &format!("GET {target} "));
    Ws::upgrade_with(Wire::connect(bridge.addr()), &head).expect_echo("hello");
}

/// The refusal of a token that is not known.
fn unknown() -> u16 {
    differs("token-refusal", 0, 404)
}

#[test]
fn lines_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let echo = backend::echo();
    fs::write(
        &file,
        format!(
            "# token: {echo}\n\nvm1: {echo}\n  vm 2:\t{echo}  \nvm3: 127.0.0.1:1\nvm3: {echo}\n\
             vm4:{echo}\nvm5\nvm6: 127.0.0.1\n"
        ),
    )
    .unwrap();
    for plugin in ["TokenFile", "websockify.token_plugins.ReadOnlyTokenFile"] {
        let bridge = bridge(plugin, &file, &[]);
        for target in [
            "/?token=vm1",
            "/websockify?x=y&token=vm1&token=no",
            "/a/b?token=&token=vm1",
            "/?token=vm%202",
            "/?token=vm+2",
            "/?token=vm1%0A",
            "/?token=vm3",
        ] {
            echoes(&bridge, target);
        }
        for target in [
            "/?token=vm4",
            "/?token=vm5",
            "/?token=vm6",
            "/?token=%23%20token",
            "/?token=VM1",
        ] {
            assert_eq!(status(&bridge, target), unknown(), "{plugin} {target}");
        }
        for target in ["/", "/?token=", "/?Token=vm1", "/vm1"] {
            let missing = differs("token-refusal", 0, 403);
            assert_eq!(status(&bridge, target), missing, "{plugin} {target}");
        }
        let complaint = differs(
            "token-lines",
            format!("Syntax error in {}", file.display()),
            format!("{}:7: ", file.display()),
        );
        bridge.wait_for_line(|line| line.contains(&complaint));
    }
}

#[test]
fn addresses_of_ipv6() {
    let Ok(probe) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return crate::machine::skip("compat::tokens::addresses_of_ipv6", "no IPv6 here");
    };
    drop(probe);
    let echo = backend::serve_on((Ipv6Addr::LOCALHOST, 0).into(), backend::echo_on);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let port = echo.port();
    fs::write(&file, format!("bare: ::1:{port}\nbrackets: [::1]:{port}\n")).unwrap();
    let bridge = bridge("TokenFile", &file, &[]);
    echoes(&bridge, "/?token=bare");
    let head = UPGRADE.replace("GET / ", "GET /?token=brackets ");
    let mut ws = Ws::upgrade_with(Wire::connect(bridge.addr()), &head);
    if differs("token-brackets", true, false) {
        assert!(ws.close().starts_with("1011 "));
    } else {
        ws.expect_echo("hello");
    }
}

#[test]
fn names_of_services() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    fs::write(&file, "vm: 127.0.0.1:no-such-service\n").unwrap();
    let bridge = bridge("TokenFile", &file, &[]);
    assert_eq!(
        status(&bridge, "/?token=vm"),
        differs("token-service", 101, 404)
    );
}

#[test]
fn a_line_that_is_not_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let mut content = format!("vm1: {}\n", backend::echo()).into_bytes();
    content.extend(b"vm\xff: 127.0.0.1:1\n");
    fs::write(&file, content).unwrap();
    let bridge = bridge("TokenFile", &file, &[]);
    assert_eq!(
        status(&bridge, "/?token=vm1"),
        differs("token-lines", 0, 101)
    );
}

#[test]
fn a_directory_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let echo = backend::echo();
    for (name, token) in [("a", "vm1"), ("b", "vm2"), (".c", "vm3"), ("a~", "vm4")] {
        fs::write(folder.path().join(name), format!("{token}: {echo}\n")).unwrap();
    }
    let bridge = bridge("TokenFile", folder.path(), &[]);
    echoes(&bridge, "/?token=vm1");
    echoes(&bridge, "/?token=vm2");
    for token in ["vm3", "vm4"] {
        assert_eq!(
            status(&bridge, &format!("/?token={token}")),
            differs("token-hidden", 101, 404),
            "{token}"
        );
    }
}

#[test]
fn a_file_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let echo = backend::echo();
    fs::write(&file, format!("vm1: {echo}\n")).unwrap();
    let bridge = bridge("TokenFile", &file, &[]);
    echoes(&bridge, "/?token=vm1");
    fs::write(&file, format!("vm2: {echo}\nvm3: {echo}\n")).unwrap();
    if !theirs() {
        bridge.wait_for_line(|line| line.starts_with("2 tokens in "));
    }
    echoes(&bridge, "/?token=vm2");
    assert_eq!(status(&bridge, "/?token=vm1"), unknown());
}

#[test]
fn target_config() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    fs::write(&file, format!("vm1: {}\n", backend::echo())).unwrap();
    let option = format!("--target-config={}", file.display());
    echoes(
        &Bridge::start(&["127.0.0.1:{port}", &option]),
        "/?token=vm1",
    );
}

#[test]
fn unix_sockets_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    backend::echo_at(&at("s"));
    let target = format!("unix_socket:{}\n", at("s").display());
    fs::write(at("tokens"), format!("vm1: {target}")).unwrap();
    fs::create_dir(at("names")).unwrap();
    fs::write(at("names/vm1"), target).unwrap();
    echoes(&bridge("TokenFile", &at("tokens"), &[]), "/?token=vm1");
    echoes(&bridge("TokenFileName", &at("names"), &[]), "/?token=vm1");
}

#[test]
fn a_file_for_each_token() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("names")).unwrap();
    fs::write(at("names/vm1"), format!(" {}\n", backend::echo())).unwrap();
    fs::write(at("outside"), format!("{}\n", backend::echo())).unwrap();
    let bridge = bridge("TokenFileName", &at("names"), &[]);
    echoes(&bridge, "/?token=vm1");
    echoes(&bridge, "/?token=x/vm1");
    for token in ["../outside", "vm2", "..", ".", "x/"] {
        assert_eq!(
            status(&bridge, &format!("/?token={token}")),
            unknown(),
            "{token}"
        );
    }
    let plugin = ["127.0.0.1:{port}", "--token-plugin=TokenFileName"];
    let source = format!("--token-source={}", at("outside").display());
    let none = Bridge::spawn(&[&plugin[..], &[&source]].concat());
    assert_eq!(none.wait().code(), Some(1));
    assert!(none.stderr().contains("requires a directory"));
}

#[test]
fn sockets_in_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("vm/a")).unwrap();
    fs::create_dir(at("vmx")).unwrap();
    for socket in ["vm/one", "vm/a/two", "vmx/s", "out"] {
        backend::echo_at(&at(socket));
    }
    symlink("../out", at("vm/link")).unwrap();
    let bridge = bridge("UnixDomainSocketDirectory", &at("vm"), &[]);
    echoes(&bridge, "/?token=one");
    echoes(&bridge, "/?token=a/two");
    for token in ["three", "a", "../out"] {
        assert_eq!(
            status(&bridge, &format!("/?token={token}")),
            unknown(),
            "{token}"
        );
    }
    for token in ["../vmx/s", "link"] {
        assert_eq!(
            status(&bridge, &format!("/?token={token}")),
            differs("token-way-out", 101, 404),
            "{token}"
        );
    }
}

#[test]
fn names_of_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let echo = backend::echo();
    fs::write(&file, format!("vm1.example: {echo}\n::1: {echo}\n")).unwrap();
    let bridge = bridge("TokenFile", &file, &["--host-token"]);
    let asked = |host: &str| {
        let head = UPGRADE.replace("Host: bridge", &format!("Host: {host}"));
        let mut wire = Wire::connect(bridge.addr());
        wire.send(format!("{head}\r\n"));
        let line = wire.take("HTTP/1.1 101".len());
        line.map_or(0, |it| String::from_utf8_lossy(&it[9..]).parse().unwrap())
    };
    assert_eq!(asked("vm1.example"), 101);
    assert_eq!(asked("vm1.example:6080"), 101);
    assert_eq!(asked("vm2.example"), unknown());
    assert_eq!(asked("[::1]:6080"), differs("host-token-ipv6", 0, 101));
}

/// Whoever may not come in learns nothing of tokens.
#[test]
fn before_and_behind_authentication() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    fs::write(&file, format!("vm1: {}\n", backend::echo())).unwrap();
    let more = ["--auth-plugin=BasicHTTPAuth", "--auth-source=jane:a:b"];
    let bridge = bridge("TokenFile", &file, &more);
    let jane = "Authorization: Basic amFuZTphOmI=\r\n";
    assert_eq!(status_with(&bridge, "/?token=vm1", jane), 101);
    assert_eq!(status_with(&bridge, "/?token=vm2", jane), unknown());
    assert_eq!(status(&bridge, "/?token=vm1"), 401);
    assert_eq!(
        status(&bridge, "/?token=vm2"),
        differs("token-order", 0, 401)
    );
}

#[test]
fn tokens_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let echo = backend::echo();
    fs::write(&file, format!("secret1: {echo}\n")).unwrap();
    let bridge = bridge("TokenFile", &file, &["--verbose"]);
    echoes(&bridge, "/?token=secret1");
    assert_eq!(status(&bridge, "/?token=secret2"), unknown());
    if theirs() {
        bridge.wait_for_line(|line| line.contains("secret1"));
        bridge.wait_for_line(|line| line.contains("secret2"));
    } else {
        bridge.wait_for_line(|line| line.contains("unknown token"));
        bridge.wait_for_line(|line| line.contains("status=404"));
    }
    let told = bridge.stderr().contains("secret");
    assert_eq!(told, differs("token-log", true, false));
}

#[test]
fn what_cannot_be_meant() {
    let listen = "127.0.0.1:{port}";
    for (args, message) in [
        (
            &[listen, "127.0.0.1:1", "--token-source=x"][..],
            "You must use --token-plugin to use --token-source",
        ),
        (
            &[listen, "127.0.0.1:1", "--host-token"],
            "You must use --token-plugin to use --host-token",
        ),
        (
            &[
                listen,
                "127.0.0.1:1",
                "--token-plugin=TokenFile",
                "--token-source=x",
            ],
            "Too many arguments",
        ),
    ] {
        let bridge = Bridge::spawn(args);
        assert_eq!(bridge.wait().code(), Some(2), "{args:?}");
        assert!(bridge.stderr().contains(message), "{}", bridge.stderr());
    }
}

/// Of two that say where to, one is not meant.
#[test]
fn a_plugin_and_a_target() {
    let args = [
        "127.0.0.1:{port}",
        "--target-config=/dev/null",
        "--unix-target=/nowhere",
    ];
    if differs("token-target", true, false) {
        Bridge::start(&args);
    } else {
        assert_eq!(Bridge::spawn(&args).wait().code(), Some(2));
    }
}

#[test]
fn plugins_that_do_not_work() {
    let listen = "127.0.0.1:{port}";
    let unknown = Bridge::spawn(&[listen, "--token-plugin=NoSuchClass"]);
    let status = unknown.wait().code();
    assert_eq!(status, differs("token-plugin", Some(1), Some(2)));
    let args = [listen, "--token-plugin=TokenFile"];
    if differs("token-source", true, false) {
        Bridge::start(&args);
    } else {
        assert_eq!(Bridge::spawn(&args).wait().code(), Some(2));
    }
    let missing = [&args[..], &["--token-source=/nowhere"]].concat();
    if differs("token-source", true, false) {
        Bridge::start(&missing);
    } else {
        assert_eq!(Bridge::spawn(&missing).wait().code(), Some(1));
    }
}
