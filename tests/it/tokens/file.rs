//! `TokenFile` and `TokenFileName`: lines, files and directories, and their changes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;

use super::{bridge, opened, refused};
use crate::backend;
use crate::bridge::Bridge;
use crate::files::replace;
use crate::wire::Response;

#[test]
fn each_token_has_its_target_and_no_other_is_told_anything() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let (one, other) = (backend::echo(), backend::say("other"));
    fs::write(
        &tokens,
        format!("secret1: {one}\nnonsense\nsecret2: {other}\n"),
    )
    .unwrap();
    let bridge = bridge("TokenFile", &tokens, &[]);
    drop(opened(&bridge, "/websockify?token=secret1"));
    bridge.wait_for_line(|line| {
        line.starts_with("session ") && line.contains(&format!(" target={one} "))
    });
    for (target, status, word) in [
        ("/?token=secret3", 404, "not known"),
        ("/", 403, "needs a token"),
        ("/?token=nonsense", 404, "not known"),
    ] {
        let (response, body) = refused(&bridge, target);
        assert_eq!(response.status, status, "{target}");
        assert!(body.contains(word) && !body.contains("secret"), "{body}");
    }
    let log = bridge.wait_until("record of both unknown tokens", |seen| {
        let records = seen
            .stderr
            .matches("plugin=TokenFile reason=\"unknown token\"\n");
        (records.count() == 2).then(|| seen.stderr.clone())
    });
    assert!(log.contains(&format!("{}:2: ", tokens.display())), "{log}");
    assert!(log.contains("bridging to targets by TokenFile"), "{log}");
    assert!(
        !log.contains("secret") && !log.contains("nonsense"),
        "{log}"
    );
}

/// Changes files and returns when the bridge has read `count` tokens, which it never had before.
fn until(bridge: &Bridge, count: usize, change: impl FnOnce()) {
    let counted = format!("{count} tokens in ");
    assert!(!bridge.stderr().contains(&counted));
    change();
    bridge.wait_for_line(|line| line.starts_with(&counted));
}

/// A file of so many tokens, of which this one leads to `target`.
fn lines(count: usize, token: &str, target: SocketAddr) -> String {
    let others: String = (1..count).map(|n| format!("other{n}: h:1\n")).collect();
    format!("{others}{token}: {target}\n")
}

fn status(bridge: &Bridge, token: &str) -> u16 {
    let (Response { status, .. }, _) = refused(bridge, &format!("/?token={token}"));
    status
}

#[test]
fn a_changed_file_counts_at_once_whichever_way_it_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let echo = backend::echo();
    fs::create_dir(at("old")).unwrap();
    fs::create_dir(at("new")).unwrap();
    fs::write(at("old/tokens"), format!("a: {echo}\n")).unwrap();
    fs::write(at("new/tokens"), lines(4, "d", echo)).unwrap();
    symlink("old", at("now")).unwrap();
    let bridge = bridge("TokenFile", &at("now/tokens"), &[]);
    drop(opened(&bridge, "/?token=a"));
    // Written in place.
    until(&bridge, 2, || {
        fs::write(at("old/tokens"), lines(2, "b", echo)).unwrap();
    });
    drop(opened(&bridge, "/?token=b"));
    assert_eq!(status(&bridge, "a"), 404);
    // Renamed over.
    until(&bridge, 3, || {
        replace(&at("old/tokens"), &lines(3, "c", echo));
    });
    drop(opened(&bridge, "/?token=c"));
    assert_eq!(status(&bridge, "b"), 404);
    // A link on the way turned round, as a Kubernetes volume is.
    until(&bridge, 4, || {
        symlink("new", at("now.tmp")).unwrap();
        fs::rename(at("now.tmp"), at("now")).unwrap();
    });
    drop(opened(&bridge, "/?token=d"));
    assert_eq!(status(&bridge, "c"), 404);
    // And what is changed at the new place.
    until(&bridge, 5, || {
        replace(&at("new/tokens"), &lines(5, "e", echo));
    });
    drop(opened(&bridge, "/?token=e"));
    assert_eq!(status(&bridge, "d"), 404);
    // The way itself goes and comes back: until then, what was read last counts.
    fs::remove_file(at("now")).unwrap();
    bridge.wait_for_line(|line| line.contains("tokens stay as they were: "));
    drop(opened(&bridge, "/?token=e"));
    until(&bridge, 6, || {
        fs::create_dir(at("now")).unwrap();
        fs::write(at("now/tokens"), lines(6, "f", echo)).unwrap();
    });
    drop(opened(&bridge, "/?token=f"));
}

#[test]
fn a_directory_of_files_and_what_comes_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let echo = backend::echo();
    fs::write(at("10-first"), format!("a: {echo}\nb: nobody.invalid:1\n")).unwrap();
    fs::write(at("20-second"), format!("b: {echo}\n")).unwrap();
    for hidden in [".hidden", "10-first~"] {
        fs::write(at(hidden), format!("h: {echo}\n")).unwrap();
    }
    fs::create_dir(at("folder")).unwrap();
    let bridge = bridge("ReadOnlyTokenFile", folder.path(), &[]);
    // The later file has the last word.
    drop((opened(&bridge, "/?token=a"), opened(&bridge, "/?token=b")));
    assert_eq!(status(&bridge, "h"), 404);
    until(&bridge, 4, || {
        fs::write(at("30-third"), format!("c: {echo}\nbroken\ne: h:1\n")).unwrap();
    });
    drop(opened(&bridge, "/?token=c"));
    let line = format!("{}:2: ", at("30-third").display());
    bridge.wait_for_line(|it| it.contains(&line));
    until(&bridge, 3, || fs::remove_file(at("10-first")).unwrap());
    assert_eq!(status(&bridge, "a"), 404);
}

#[test]
fn a_name_in_the_directory_forges_no_line_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a\nforged"), "nonsense").unwrap();
    let bridge = bridge("TokenFile", folder.path(), &[]);
    bridge.wait_for_line(|line| line.contains("/a\\nforged:1: "));
    assert!(!bridge.stderr().contains("\nforged"));
}

#[test]
fn a_file_for_each_token() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let echo = backend::echo();
    fs::write(at("vm1"), format!("{echo}\n")).unwrap();
    fs::write(at("vm2"), "nonsense").unwrap();
    fs::create_dir(at("vm3")).unwrap();
    fs::write(folder.path().with_extension("vm4"), format!("{echo}\n")).unwrap();
    let bridge = bridge("TokenFileName", folder.path(), &[]);
    drop(opened(&bridge, "/?token=vm1"));
    let beside = folder.path().with_extension("vm4");
    let beside = Path::new(beside.file_name().unwrap());
    for token in ["vm2", "vm3", "..", ".", "vm3/..", "%2e%2e", "/etc/passwd"] {
        assert_eq!(status(&bridge, token), 404, "{token}");
    }
    assert_eq!(status(&bridge, &format!("../{}", beside.display())), 404);
    let bad = format!("one of the files in {}: ", folder.path().display());
    bridge.wait_for_line(|line| line.contains(&bad));
    until(&bridge, 2, || replace(&at("vm5"), &echo.to_string()));
    drop(opened(&bridge, "/?token=vm5"));
    // A file's name is a token.
    assert!(!bridge.stderr().contains("vm"), "{}", bridge.stderr());
    fs::remove_file(folder.path().with_extension("vm4")).unwrap();
}

/// SIGHUP takes everything or nothing.
#[test]
fn a_reload_that_cannot_read_tokens_says_so_and_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let echo = backend::echo();
    fs::write(&tokens, format!("a: {echo}\n")).unwrap();
    let bridge = bridge("TokenFile", &tokens, &[]);
    fs::remove_file(&tokens).unwrap();
    bridge.signal(Signal::HUP);
    let line = bridge.wait_for_line(|line| line.contains("not reloaded"));
    assert!(line.contains(&tokens.display().to_string()), "{line}");
    drop(opened(&bridge, "/?token=a"));
    fs::write(&tokens, format!("b: {echo}\n")).unwrap();
    bridge.signal(Signal::HUP);
    bridge.wait_for_line(|line| line.ends_with("reloaded") && !line.contains("not "));
    drop(opened(&bridge, "/?token=b"));
}

#[test]
fn what_is_not_there_at_start_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (plugin, source, word) in [
        ("TokenFile", "/nowhere/tokens", "/nowhere/tokens"),
        ("TokenFileName", "/nowhere", "/nowhere"),
        (
            "TokenFileName",
            file.to_str().unwrap(),
            "requires a directory",
        ),
        ("UnixDomainSocketDirectory", "/nowhere", "/nowhere"),
        (
            "UnixDomainSocketDirectory",
            file.to_str().unwrap(),
            "not a directory",
        ),
    ] {
        let (plugin, source) = (
            format!("--token-plugin={plugin}"),
            format!("--token-source={source}"),
        );
        let bridge = Bridge::spawn(&["127.0.0.1:{port}", &plugin, &source]);
        assert_eq!(bridge.wait().code(), Some(1), "{plugin} {source}");
        assert!(bridge.stderr().contains(word), "{}", bridge.stderr());
    }
}
