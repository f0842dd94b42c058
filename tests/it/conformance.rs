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
    let expected = fs::read_to_string(script("conformance/expected.tsv")).unwrap();
    let expected = results(&expected);
    let found = run(bridge.port(), &[]);
    let cases = |of: &[Case]| -> Vec<String> { of.iter().map(Case::name).collect() };
    assert_eq!(cases(&found), cases(&expected), "other cases");
    let differ = differing(&found, &expected);
    if differ.is_empty() {
        return;
    }
    // Most cases give an answer one second: on a busy machine they are asked again, by themselves.
    let numbers: Vec<&str> = differ.iter().map(|(found, _)| &*found.number).collect();
    let again = run(bridge.port(), &numbers);
    let names = cases(&again);
    let still: Vec<String> = differing(&again, &expected)
        .iter()
        .filter(|(found, _)| differ.iter().any(|(first, _)| first.name() == found.name()))
        .map(|(found, expected)| format!("{found:?} is not {expected:?}"))
        .collect();
    let gone = differ
        .iter()
        .any(|(first, _)| !names.contains(&first.name()));
    assert!(still.is_empty() && !gone, "{}", still.join("\n"));
}

#[derive(Debug)]
struct Case {
    run: String,
    number: String,
    /// How it behaved, and how it closed; in what is expected, one or another.
    ends: [String; 2],
}

impl Case {
    fn name(&self) -> String {
        format!("{} {}", self.run, self.number)
    }

    fn is_as(&self, expected: &Self) -> bool {
        let mut ends = self.ends.iter().zip(&expected.ends);
        ends.all(|(found, expected)| expected.split('/').any(|it| it == found))
    }
}

fn run(port: u16, cases: &[&str]) -> Vec<Case> {
    let output = python()
        .arg(script("clients/conformance.py"))
        .arg(port.to_string())
        .args(cases)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{failed}");
    results(&said)
}

fn results(text: &str) -> Vec<Case> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let [run, number, one, other] = line
                .split('\t')
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .try_into()
                .unwrap();
            Case {
                run,
                number,
                ends: [one, other],
            }
        })
        .collect()
}

/// Each case that is not as it is written down, with what is.
fn differing<'c>(found: &'c [Case], expected: &'c [Case]) -> Vec<(&'c Case, &'c Case)> {
    let of = |found: &Case| expected.iter().find(|it| it.name() == found.name());
    let pairs = found.iter().filter_map(|found| Some((found, of(found)?)));
    pairs
        .filter(|(found, expected)| !found.is_as(expected))
        .collect()
}
