//! `TokenFile`: lines, files and directories.

use std::fs;

use super::{bridge, opened, refused};
use crate::backend;

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
    let log = bridge.stderr();
    assert!(log.contains(&format!("{}:2: ", tokens.display())), "{log}");
    assert!(log.contains("bridging to targets by TokenFile"), "{log}");
    assert!(
        log.contains("plugin=TokenFile reason=\"unknown token\""),
        "{log}"
    );
    assert!(
        !log.contains("secret") && !log.contains("nonsense"),
        "{log}"
    );
}
