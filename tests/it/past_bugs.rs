//! docs/PAST-BUGS.md and docs/HOSTILE.md name tests that are there.

use std::fs;
use std::path::Path;

#[test]
fn every_past_bug_has_its_test() {
    has_its_tests(include_str!("../../docs/PAST-BUGS.md"), "| Bug");
}

#[test]
fn every_attack_has_its_test() {
    has_its_tests(include_str!("../../docs/HOSTILE.md"), "| Attack");
}

fn has_its_tests(table: &str, head: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows: Vec<&str> = table.lines().filter(|it| it.starts_with('|')).collect();
    let rows = rows
        .iter()
        .filter(|row| !row.starts_with(head) && !row.starts_with("|---"));
    let rows: Vec<&str> = rows.copied().collect();
    assert!(rows.len() > 2);
    for row in rows {
        let test = row
            .split('`')
            .rev()
            .nth(1)
            .unwrap_or_else(|| panic!("{row}"));
        let (room, name) = test.rsplit_once("::").unwrap();
        let source = match room.strip_suffix("::tests") {
            // Those of a parser are beside it.
            Some(parser) => root.join("src").join(parser.replace("::", "/")),
            None => root.join("tests/it").join(room.replace("::", "/")),
        };
        let source = source.with_extension("rs");
        let source = fs::read_to_string(source).unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(source.contains(&format!("fn {name}()")), "no test {test}");
    }
}
