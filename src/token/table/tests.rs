//! Lines, right and wrong; and what a look-up costs.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Layout, Table, parse_lines, parse_named};

#[test]
fn lines() {
    let content = b"# a comment\n\nvm1: h:5900\r\n  vm 2:\t::1:5901  \nvm:3: unix_socket:/s\n\
        vm4: [::1]:5904\nvm1: other:1";
    let mut targets = HashMap::new();
    assert_eq!(parse_lines(content, &mut targets), []);
    for (token, target) in [
        ("vm1", "other:1"),
        ("vm 2", "[::1]:5901"),
        ("vm:3", "unix:/s"),
        ("vm4", "[::1]:5904"),
    ] {
        assert_eq!(targets[token].to_string(), target);
    }
}

#[test]
fn a_bad_line_is_told_by_its_number_and_stops_no_other() {
    let content = b"a: h:1\nno target\nvm:h:5900\n\xff: h:1\n: h:1\nb: h:0\nc: h:1 # vm\nd: h:2";
    let mut targets = HashMap::new();
    let faults = parse_lines(content, &mut targets);
    let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    assert_eq!(targets.len(), 2);
    assert!(targets.contains_key("a") && targets.contains_key("d"));
}

proptest! {
    /// Whatever a file holds, each line of it is an entry, a fault or nothing, and what is an entry
    /// is one again when it is written as the manual says.
    #[test]
    fn any_file(lines in vec("[ :#\\[\\]a-z0-9\\PC]{0,20}(: |:\t)?[ :a-z0-9.\\[\\]]{0,12}(:[0-9]{1,6})?", 0..20)) {
        let mut targets = HashMap::new();
        let faults = parse_lines(lines.join("\n").as_bytes(), &mut targets);
        prop_assert!(faults.len() + targets.len() <= lines.len().max(1));
        for (token, target) in &targets {
            let mut again = HashMap::new();
            let shown = target.to_string().replacen("unix:", "unix_socket:", 1);
            let line = format!("{token}: {shown}");
            prop_assert_eq!(parse_lines(line.as_bytes(), &mut again), []);
            prop_assert_eq!(again.get(token), Some(target));
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let mut targets = HashMap::new();
        parse_lines(&bytes, &mut targets);
        let _ = parse_named(Path::new("/d/vm1"), &bytes, &mut targets);
    }
}

#[test]
fn a_file_for_each_token() {
    let mut targets = HashMap::new();
    for (content, good) in [
        (&b" h:5900\n"[..], true),
        (b"unix_socket:/run/vm\n", true),
        (b"h:5900\nh:5901\n", false),
        (b"", false),
        (b"\xff:1", false),
    ] {
        targets.clear();
        let fault = parse_named(Path::new("/d/vm1"), content, &mut targets);
        assert_eq!((fault.is_none(), targets.contains_key("vm1")), (good, good));
    }
}

#[test]
fn a_later_reading_wins_over_an_earlier_one_that_took_longer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    fs::write(&path, "a: h:1").unwrap();
    let table = Table::load(path.clone(), Layout::Lines).unwrap();
    let slow = table.read().unwrap();
    fs::write(&path, "b: h:1").unwrap();
    table.renew(table.read().unwrap());
    table.renew(slow);
    assert!(table.look_up("a").is_none() && table.look_up("b").is_some());
}

/// The least of several rounds: what the work costs, whatever else this machine does meanwhile.
#[test]
fn a_look_up_among_100_000_tokens_takes_less_than_20_microseconds() {
    const TOKENS: u32 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let mut content = String::new();
    for n in 0..TOKENS {
        writeln!(content, "0a1b2c3d-{n:08}: vm{n}.example.org:5900").unwrap();
    }
    fs::write(&path, content).unwrap();
    let table = Table::load(path, Layout::Lines).unwrap();
    let tokens: Vec<String> = (0..1000)
        .map(|n| format!("0a1b2c3d-{:08}", n * 7919 % TOKENS))
        .collect();
    let round = || {
        let began = Instant::now();
        for token in &tokens {
            assert!(table.look_up(token).is_some());
        }
        began.elapsed() / 1000
    };
    let least = (0..10).map(|_| round()).min().unwrap();
    assert!(least < Duration::from_micros(20), "{least:?}");
}
