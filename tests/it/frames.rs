//! --frame-ancestors: which pages may show ours in a frame.

use std::fs;

use crate::backend;
use crate::bridge::Bridge;
use crate::wire::{Response, UPGRADE, Wire};

fn answers(options: &[&str]) -> [Response; 3] {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), "a page").unwrap();
    let web = format!("--web={}", folder.path().display());
    let target = backend::echo().to_string();
    let bridge = Bridge::start(&[&[&web, "127.0.0.1:{port}", &target], options].concat());
    ["page.html", "nothing"]
        .map(|path| format!("GET /{path} HTTP/1.1\r\nHost: h\r\n"))
        .into_iter()
        .chain([UPGRADE.to_owned()])
        .map(|head| Wire::connect(bridge.addr()).request(&head))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

const POLICY: &str = "content-security-policy";
const OLDER: &str = "x-frame-options";

#[test]
fn every_answer_that_can_be_shown_has_the_policy() {
    for (options, policy, older) in [
        (&[][..], None, None),
        (
            &["--frame-ancestors=none"],
            Some("frame-ancestors 'none'"),
            Some("DENY"),
        ),
        (
            &["--frame-ancestors=self"],
            Some("frame-ancestors 'self'"),
            Some("SAMEORIGIN"),
        ),
        (
            &["--frame-ancestors=self,https://portal.example.org"],
            Some("frame-ancestors 'self' https://portal.example.org"),
            None,
        ),
    ] {
        let [page, missing, switching] = answers(options);
        assert_eq!(
            (page.status, missing.status, switching.status),
            (200, 404, 101)
        );
        for answer in [page, missing] {
            assert_eq!(answer.header(POLICY), policy, "{options:?}");
            assert_eq!(answer.header(OLDER), older, "{options:?}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
        assert_eq!(switching.header(POLICY), None);
    }
}

#[test]
fn what_is_no_policy_is_told() {
    let bridge = Bridge::spawn(&["--frame-ancestors=https://a;script-src", "{port}", "h:1"]);
    assert_eq!(bridge.wait().code(), Some(2));
    assert!(
        bridge
            .stderr()
            .contains("'https://a;script-src' is neither"),
        "{bridge:?}"
    );
}
