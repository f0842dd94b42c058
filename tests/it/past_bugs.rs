//! docs/PAST-BUGS.md names tests that are there.

use std::fs;
use std::path::Path;

#[test]
fn every_past_bug_has_its_test() {
    let table = include_str!("../../docs/PAST-BUGS.md");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    // Behind the title and the line below it.
    let rows: Vec<&str> = table.lines().filter(|it| it.starts_with('|')).collect();
    assert!(rows.len() > 2);
    for row in &rows[2..] {
        let test = row
            .split('`')
            .rev()
            .nth(1)
            .unwrap_or_else(|| panic!("{row}"));
        let (room, name) = test.rsplit_once("::").unwrap();
        let source = here.join(room.replace("::", "/")).with_extension("rs");
        let source = fs::read_to_string(source).unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(source.contains(&format!("fn {name}()")), "no test {test}");
    }
}
