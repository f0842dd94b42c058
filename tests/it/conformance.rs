//! The Autobahn test suite's cases, whose results are written down: docs/CONFORMANCE.md says what
//! they mean.

use std::fs;
use std::process::Stdio;

use crate::backend;
use crate::bridge::Bridge;
use crate::real::{python, script};

#[test]
fn every_case_ends_as_it_is_written_down() {
    let bridge = Bridge::to(&backend::echo());
    let output = python()
        .arg(script("clients/conformance.py"))
        .arg(bridge.port().to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    let expected = fs::read_to_string(script("conformance/expected.tsv")).unwrap();
    let expected: Vec<Vec<&str>> = lines(&expected);
    let found = lines(&said);
    let ends =
        |of: &[Vec<&str>]| -> Vec<String> { of.iter().map(|it| it[..2].join(" ")).collect() };
    assert_eq!(ends(&found), ends(&expected), "other cases");
    let differ: Vec<String> = found
        .iter()
        .zip(&expected)
        .filter(|(found, expected)| {
            let fits = |at: usize| expected[at].split('/').any(|it| it == found[at]);
            !(fits(2) && fits(3))
        })
        .map(|(found, expected)| format!("{} is not {}", found.join(" "), expected.join(" ")))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect()
}
