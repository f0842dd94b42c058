//! Tests that docs/PAST-BUGS.md, docs/HOSTILE.md and docs/THREATS.md name are there.

use std::fs;
use std::path::Path;

#[test]
fn every_past_bug_has_its_test() {
    has_one_test_each(include_str!("../../docs/PAST-BUGS.md"), "| Bug ");
}

#[test]
fn every_attack_has_its_test() {
    has_one_test_each(include_str!("../../docs/HOSTILE.md"), "| Attack ");
}

fn has_one_test_each(text: &str, head: &str) {
    let rows = rows(text, head);
    assert!(rows.len() > 2);
    for row in rows {
        let named = named(row);
        assert_eq!(named.len(), 1, "{row}");
        assert!(is_there(named[0]), "no test {}", named[0]);
    }
}

#[test]
fn every_threat_that_is_stopped_has_its_tests() {
    let (tables, _) = include_str!("../../docs/THREATS.md")
        .split_once("## The walls")
        .unwrap();
    let (_, tables) = tables.split_once("## Who does what").unwrap();
    let rows = rows(tables, "| Asset ");
    assert!(rows.len() > 40);
    for row in rows {
        let named = named(row);
        assert!(!named.is_empty(), "{row}");
        for test in named {
            assert!(is_there(test), "no test {test}");
        }
    }
}

/// The rows of all tables whose head begins so.
fn rows<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let rows = text.lines().filter(|it| it.starts_with('|'));
    rows.filter(|row| !row.starts_with(head) && !row.starts_with("|---"))
        .collect()
}

/// What stands in code in the last cell.
fn named(row: &str) -> Vec<&str> {
    let (_, last) = row.trim_end_matches([' ', '|']).rsplit_once(" | ").unwrap();
    last.split('`').skip(1).step_by(2).collect()
}

fn is_there(test: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some((rig, scenario)) = test.split_once('/') {
        let scenarios = root.join("tests").join(rig).join("scenarios");
        return scenarios.join(scenario).with_extension("sh").exists();
    }
    let (room, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test}"));
    // Those of parsers are in a list of their own.
    if room == "fuzz" {
        let targets = include_str!("../../src/fuzz.rs");
        return targets.contains(&format!("\n    {name}: "));
    }
    let source = match room.strip_suffix("::tests") {
        Some(tested) => root.join("src").join(tested.replace("::", "/")),
        None => root.join("tests/it").join(room.replace("::", "/")),
    };
    let found = [source.with_extension("rs"), source.join("mod.rs")]
        .into_iter()
        .find_map(|file| fs::read_to_string(file).ok());
    found.is_some_and(|text| is_test(&text, name))
}

/// Whether there is a test of that name, and not a helper of one.
fn is_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}()")) else {
        return false;
    };
    let lines = before.trim_end().lines().rev().map(str::trim);
    let mut attributes = lines.take_while(|line| line.starts_with("#["));
    attributes.any(|attribute| attribute == "#[test]" || attribute.starts_with("#[tokio::test"))
}

#[test]
fn a_helper_of_tests_is_none() {
    let source = "#[test]\n#[ignore = \"slow\"]\nfn one() {}\n\nfn helper() {}\n";
    assert!(is_test(source, "one"));
    assert!(!is_test(source, "helper"));
    assert!(!is_test(source, "none"));
}
