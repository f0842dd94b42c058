//! What websockify's users type.

use std::ffi::OsString;

use super::{Asked, Options, WEBSOCKIFYS_OWN, parse};

fn options(line: &str) -> Result<Options, String> {
    let words = ["websockify"]
        .into_iter()
        .chain(line.split_whitespace())
        .map(OsString::from);
    match parse(words) {
        Ok(Asked::Serve(options)) => Ok(*options),
        Ok(Asked::Print(text)) => Err(text),
        Err(failure) => Err(failure.to_string()),
    }
}

#[test]
fn options_stand_before_between_and_behind_positionals() {
    for line in [
        "--web /d --heartbeat 5 6080 h:1",
        "6080 --web /d --heartbeat=5 h:1",
        "6080 h:1 --web=/d --heartbeat 5",
    ] {
        let got = options(line).unwrap();
        assert_eq!(got.listen.as_deref(), Some("6080"), "{line}");
        assert_eq!(got.target.as_deref(), Some("h:1"));
        assert_eq!(got.heartbeat, 5);
        assert!(got.web.is_some_and(|web| web.as_os_str() == "/d"));
        assert!(got.typed.listen && got.typed.target && !got.typed.demo);
    }
}

#[test]
fn short_options_combine_and_the_last_value_wins() {
    let got = options("-v6D --timeout 1 --timeout=2 6080 h:1").unwrap();
    assert!(got.verbose && got.prefer_ipv6 && got.daemon);
    assert_eq!(got.timeout, 2);
}

#[test]
fn unique_prefixes_are_enough_even_where_an_option_of_ours_shares_them() {
    let got = options("--time 1 --idle 2 --he 3 --run --unix-t /s 6080");
    assert!(got.is_err_and(|text| text.contains("ambiguous option: --he (--heartbeat, --help?)")));
    let got = options("--time 1 --idle 2 --hea 3 --run --unix-t /s 6080").unwrap();
    assert_eq!((got.timeout, got.idle_timeout, got.heartbeat), (1, 2, 3));
    assert!(got.run_once && got.unix_target.is_some());
    let got = options("--max-connections-per 7 6080 h:1").unwrap();
    assert_eq!(got.max_connections_per_address, Some(7));
    assert!(
        options("--unix-l /s h:1")
            .unwrap_err()
            .contains("--unix-listen, --unix-listen-mode")
    );
}

#[test]
fn a_value_that_looks_like_an_option_is_a_value() {
    assert_eq!(
        options("--health-path --web 6080 h:1")
            .unwrap()
            .health_path
            .unwrap(),
        "--web"
    );
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    assert!(
        options("--ssl 6080 h:1")
            .unwrap_err()
            .contains("ambiguous option: --ssl")
    );
    assert!(
        options("--no-such 6080 h:1")
            .unwrap_err()
            .contains("--no-such")
    );
    assert_eq!(
        options("--timeout abc 6080 h:1").unwrap_err(),
        "option --timeout: invalid integer value: 'abc'"
    );
    assert!(
        options("--timeout=-1 6080 h:1")
            .unwrap_err()
            .contains("negative")
    );
    let error = options("--wrap-mode=never 6080 -- vncserver").unwrap_err();
    assert!(error.contains("exit, ignore, respawn"), "{error}");
    assert!(options("1 2:3 4").is_err());
}

#[test]
fn the_list_of_websockifys_options_is_whole() {
    // websockify 0.13 has 37 options.
    assert_eq!(WEBSOCKIFYS_OWN.len(), 37);
    for name in WEBSOCKIFYS_OWN {
        if *name != "help" {
            assert!(!options(&format!("--{name}")).is_err_and(|it| it.contains("unexpected")));
        }
    }
}

#[test]
fn help_and_version_are_printed() {
    let help = options("--help").unwrap_err();
    for name in WEBSOCKIFYS_OWN {
        assert!(help.contains(&format!("--{name}")), "{name}");
    }
    assert!(help.contains("Exit status"));
    assert!(
        options("--version")
            .unwrap_err()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}
