//! `UnixDomainSocketDirectory`: no way out of it.

use std::fs;
use std::os::unix::fs::symlink;

use super::{bridge, opened, refused};
use crate::backend;

#[test]
fn sockets_in_the_directory_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("vm/a")).unwrap();
    fs::create_dir(at("vmx")).unwrap();
    for socket in ["vm/one", "vm/a/two", "vmx/s", "outside"] {
        backend::echo_at(&at(socket));
    }
    fs::write(at("vm/file"), "").unwrap();
    symlink("a/two", at("vm/inside")).unwrap();
    symlink("../outside", at("vm/out")).unwrap();
    symlink(at("vm/one"), at("vm/absolute")).unwrap();
    let bridge = bridge("UnixDomainSocketDirectory", &at("vm"), &[]);
    for token in ["one", "a/two", "a%2Ftwo", "inside"] {
        drop(opened(&bridge, &format!("/?token={token}")));
    }
    let absolute = at("vm/one").display().to_string();
    for token in [
        "../outside",
        "../vmx/s",
        "x/s",
        "a/../../outside",
        "%2e%2e/outside",
        "out",
        "absolute",
        &absolute,
        "a",
        ".",
        "file",
        "nothing",
        "one%00",
        "one/",
    ] {
        let (response, _) = refused(&bridge, &format!("/?token={token}"));
        assert_eq!(response.status, 404, "{token}");
    }
    // The name of a socket is its token.
    let shown = format!("target=unix:{}/* ", at("vm").display());
    bridge.wait_for_line(|line| line.starts_with("session ") && line.contains(&shown));
    assert!(!bridge.stderr().contains("two"), "{}", bridge.stderr());
}
