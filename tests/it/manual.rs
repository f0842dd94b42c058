//! The manual and the completions of shells, as they are committed: they know every option, and
//! what reads them has nothing to complain about. That they are up to date is tools/pages.rs's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::machine::skip;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn help() -> String {
    let mut bridge = Command::new(env!("CARGO_BIN_EXE_websockify"));
    String::from_utf8(output(bridge.arg("--help")).stdout).unwrap()
}

fn output(command: &mut Command) -> Output {
    command.env("LC_ALL", "C.UTF-8").output().unwrap()
}

/// Runs `command`, which must succeed without a word on standard error; returns what it printed.
fn quiet(command: &mut Command) -> String {
    let output = output(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{command:?}: {said}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Long options that --help begins a line with.
pub(crate) fn options() -> BTreeSet<String> {
    let help = help();
    let lines = help
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'));
    let words = lines.flat_map(|line| line.split(' ').take(2));
    let found: BTreeSet<_> = words
        .filter_map(|word| word.strip_prefix("--"))
        .map(str::to_owned)
        .collect();
    assert!(found.len() > 60, "{found:?}");
    found
}

#[test]
fn every_option_is_in_the_page_and_in_each_shells_completion() {
    let page = read("man/websockify.1");
    let heads: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with(".It Fl "))
        .collect();
    let bash = read("completions/websockify.bash");
    let zsh = read("completions/_websockify");
    let fish = read("completions/websockify.fish");
    for option in options() {
        let head = format!("Fl -{}", option.replace('-', "\\-"));
        let is_head = |line: &&str| line.ends_with(&head) || line.contains(&format!("{head} "));
        // clap's own two are told by its help alone.
        assert!(
            ["help", "version"].contains(&&*option) || heads.iter().any(is_head),
            "websockify(1) has no --{option}"
        );
        assert!(bash.contains(&format!(" --{option} ")), "bash: --{option}");
        let in_zsh = |end| zsh.contains(&format!("--{option}{end}["));
        assert!(in_zsh("") || in_zsh("="), "zsh: --{option}");
        assert!(fish.contains(&format!(" -l {option} ")), "fish: --{option}");
    }
}

#[test]
fn every_variable_is_in_the_page_and_called_like_its_option() {
    let page = read("man/websockify.conf.5");
    let help = help().split_whitespace().collect::<Vec<_>>().join(" ");
    let found: BTreeSet<_> = help
        .split("[env: ")
        .skip(1)
        .map(|rest| rest.split(['=', ']']).next().unwrap())
        .collect();
    assert!(found.len() > 60, "{found:?}");
    let options = options();
    for name in found {
        assert!(page.contains(&format!(".It Ev {name} Ns = ")), "no {name}");
        let option = name.strip_prefix("WEBSOCKIFY_").unwrap();
        let option = option.to_lowercase().replace('_', "-");
        assert!(
            ["listen", "target"].contains(&&*option) || options.contains(&option),
            "{name} is not called like an option"
        );
    }
}

/// Whatever the sources call so is a variable that has its place, or a field of a record.
#[test]
fn no_variable_is_left_out() {
    let page = read("man/websockify.conf.5");
    let journal = read("docs/JOURNAL.md");
    let mut found = BTreeSet::new();
    for file in sources(&Path::new(ROOT).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("WEBSOCKIFY_").skip(1) {
            let plain = |letter: char| {
                letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
            };
            let end = rest.find(|letter| !plain(letter)).unwrap_or(rest.len());
            found.insert(rest[..end].to_owned());
        }
    }
    found.remove("");
    assert!(found.contains("WRAP"), "{found:?}");
    for name in found {
        let told = page.contains(&format!(".It Ev WEBSOCKIFY_{name} "));
        assert!(
            told || journal.contains(&format!("`{name}`")),
            "nobody tells of {name}"
        );
    }
}

fn pages() -> Vec<PathBuf> {
    let files = fs::read_dir(Path::new(ROOT).join("man")).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn pages_render_without_a_warning() {
    if !Path::new("/usr/bin/man").exists() || !Path::new("/usr/bin/mandoc").exists() {
        return skip(
            "manual::pages_render_without_a_warning",
            "there is no man here",
        );
    }
    for page in pages() {
        quiet(
            Command::new("man")
                .args(["--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"])
                .arg(&page),
        );
        quiet(
            Command::new("mandoc")
                .args(["-T", "lint", "-W", "warning"])
                .arg(&page),
        );
    }
}

#[test]
fn a_page_that_another_refers_to_is_there() {
    let ours: Vec<_> = pages()
        .iter()
        .map(|page| page.file_name().unwrap().to_owned())
        .collect();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for line in text
            .lines()
            .filter(|line| line.starts_with(".Xr websockify") || line.starts_with(".Xr rebind"))
        {
            let mut words = line.split(' ').skip(1);
            let name = [words.next().unwrap(), words.next().unwrap()].join(".");
            assert!(
                ours.iter().any(|it| *it == *name),
                "{}: {line}",
                page.display()
            );
        }
    }
}

/// Every field that a record is given is told of.
#[test]
fn fields_of_records_are_in_the_table() {
    let table = read("docs/JOURNAL.md");
    let mut found = BTreeSet::new();
    for file in sources(&Path::new(ROOT).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        for call in text.split("event = Event::").skip(1) {
            // What stands between the kind and the text, behind the semicolon.
            let Some((pairs, _)) = call.split_once(';') else {
                continue;
            };
            let pairs = pairs
                .split(',')
                .skip(1)
                .filter_map(|pair| pair.split_once('='));
            found.extend(pairs.map(|(key, _)| key.trim().trim_end_matches(":%").to_uppercase()));
        }
    }
    assert!(
        found.contains("CLOSE_CODE") && found.contains("SANDBOX"),
        "{found:?}"
    );
    for field in found {
        assert!(
            table.contains(&format!("`{field}`")),
            "docs/JOURNAL.md has no {field}"
        );
    }
}

/// The files of Rust beneath a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| {
        if path.is_dir() {
            sources(&path)
        } else {
            vec![path]
        }
    });
    files
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}
