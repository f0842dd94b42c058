//! What websockify does, asked of both programs.
//!
//! A test without a word about differences holds for both. Where they differ on purpose, it says so
//! with [`differs`], and docs/COMPAT.md tells the reader what and why.

use std::fs;
use std::path::Path;

use crate::bridge::Program;

mod auth; // --auth-plugin
mod background; // --daemon, --log-file, --syslog
mod cli; // options, their order and spelling, exit statuses
mod closing; // who says goodbye, in which words, and what still arrives
pub(crate) mod flow; // slow and stalled peers
mod frames; // every kind of frame, right and wrong
mod handshake; // the upgrade
mod http; // --web, and answers without it
mod legacy; // --legacy-protocols
mod listen; // where the bridge listens and what it connects to
mod record; // --record
mod sessions; // --run-once, --timeout, --heartbeat, --traffic
mod tls; // certificates, versions, and TLS to the target
mod token_sources; // --token-plugin, by a network or a signature
mod tokens; // --token-plugin, by files
mod wrap; // -- COMMAND

const TABLE: &str = include_str!("../../../docs/COMPAT.md");

/// What to expect of the program under test where the two differ on purpose. `row` names the
/// difference in docs/COMPAT.md; a difference that is not told there fails its test.
fn differs<T>(row: &str, theirs: T, ours: T) -> T {
    assert!(
        TABLE.contains(&format!("| `{row}` |")),
        "docs/COMPAT.md has no row {row}"
    );
    match Program::under_test() {
        Program::Ours => ours,
        Program::Theirs => theirs,
    }
}

fn theirs() -> bool {
    Program::under_test() == Program::Theirs
}

/// Each row of the table has its number in turn, and a test that asks for it.
#[test]
fn every_row_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/compat");
    let files = fs::read_dir(folder).unwrap();
    let tests: String = files
        .map(|f| fs::read_to_string(f.unwrap().path()).unwrap())
        .collect();
    let rows = TABLE
        .lines()
        .filter(|line| line.strip_prefix("| ").is_some_and(is_number));
    for (n, row) in (1..).zip(rows) {
        let mut cells = row.split(" | ");
        assert_eq!(
            cells.next(),
            Some(format!("| {n}").as_str()),
            "number of {row}"
        );
        let name = cells.next().unwrap().trim_matches('`');
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "no test of row {name}"
        );
    }
}

fn is_number(cells: &str) -> bool {
    cells.starts_with(|letter: char| letter.is_ascii_digit())
}

/// The table of options has each of websockify's, and rows that there are.
#[test]
fn every_option_is_told_of() {
    let (_, table) = TABLE
        .split_once("| Option | Differs by |\n|---|---|\n")
        .unwrap();
    let lines = table.lines().take_while(|line| line.starts_with("| "));
    let mut options = 0;
    for line in lines {
        let (names, differences) = line[2..].split_once(" | ").unwrap();
        for name in names.split('`').filter(|name| name.starts_with("--")) {
            let known = ["--help", "--daemon"].contains(&name)
                || crate::manual::options().contains(&name[2..]);
            assert!(known, "there is no {name}");
            options += 1;
        }
        for row in differences
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|row| !row.starts_with("--"))
        {
            assert!(TABLE.contains(&format!("| `{row}` |")), "no row {row}");
        }
    }
    assert_eq!(options, 37);
}
