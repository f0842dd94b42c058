//! Tokens in files, a line each.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::route::Route;

/// What the files say, and the files.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    entries: RwLock<Arc<Entries>>,
}

/// One state of the files.
pub(super) type Entries = HashMap<Box<str>, Route>;

impl Table {
    /// Reads `path`, a file or a directory of files.
    pub(super) fn load(path: PathBuf) -> Result<Self, String> {
        let entries = RwLock::new(Arc::new(read(&path)?));
        Ok(Self { path, entries })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads anew; blocks, and changes nothing yet.
    pub(super) fn read(&self) -> Result<Entries, String> {
        read(&self.path)
    }

    pub(super) fn renew(&self, entries: Entries) {
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(entries);
    }

    pub(super) fn look_up(&self, token: &str) -> Option<Route> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(token).cloned()
    }
}

/// Reads every file there is. A bad line is reported and does not stop the others.
fn read(path: &Path) -> Result<Entries, String> {
    let cannot = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("cannot read tokens from {path}: {error}")
    };
    let mut entries = Entries::new();
    for file in files(path).map_err(cannot(path))? {
        let content = fs::read(&file).map_err(cannot(&file))?;
        for fault in parse(&content, &mut entries) {
            log::warn!("{}:{}: {}", file.display(), fault.line, fault.text);
        }
    }
    Ok(entries)
}

/// The file itself, or all of a directory's in the order of their names, so that the last word does
/// not hang on how they are stored. Neither hidden files nor an editor's copies.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let hidden = name.starts_with('.') || name.ends_with('~');
        // Follows links: Kubernetes' volumes are nothing else.
        if !hidden && fs::metadata(entry.path()).is_ok_and(|found| found.is_file()) {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// What is wrong with a line. The line itself may hold a token, so it is not told.
#[derive(Debug, PartialEq, Eq)]
struct LineFault {
    line: usize,
    text: &'static str,
}

/// Reads `TOKEN: TARGET` lines, of which a later one wins.
fn parse(content: &[u8], entries: &mut Entries) -> Vec<LineFault> {
    let mut faults = Vec::new();
    for (line, bytes) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        match std::str::from_utf8(bytes).map(|text| entry(text.trim())) {
            Ok(Ok(Some((token, route)))) => {
                entries.insert(token.into(), route);
            }
            Ok(Ok(None)) => {}
            Ok(Err(text)) => faults.push(LineFault { line, text }),
            Err(_) => faults.push(LineFault {
                line,
                text: "the line is not UTF-8",
            }),
        }
    }
    faults
}

/// One line; `None` for one that says nothing.
fn entry(line: &str) -> Result<Option<(&str, Route)>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (at, _) = line
        .match_indices(':')
        .find(|(at, _)| line[at + 1..].starts_with(char::is_whitespace))
        .ok_or("a line is TOKEN: TARGET, with a space behind the colon")?;
    let (token, target) = (&line[..at], line[at + 1..].trim());
    if token.is_empty() {
        return Err("there is no token before the colon");
    }
    Ok(Some((token, Route::parse(target)?)))
}

#[cfg(test)]
mod tests {
    use super::{Entries, parse};

    #[test]
    fn lines() {
        let content = b"# a comment\n\nvm1: h:5900\r\n  vm 2:\t::1:5901  \nvm:3: unix_socket:/s\n\
            vm4: [::1]:5904\nvm1: other:1";
        let mut entries = Entries::new();
        assert_eq!(parse(content, &mut entries), []);
        for (token, target) in [
            ("vm1", "other:1"),
            ("vm 2", "[::1]:5901"),
            ("vm:3", "unix:/s"),
            ("vm4", "[::1]:5904"),
        ] {
            assert_eq!(entries[token].to_string(), target);
        }
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_stops_no_other() {
        let content =
            b"a: h:1\nno target\nvm:h:5900\n\xff: h:1\n: h:1\nb: h:0\nc: h:1 # vm\nd: h:2";
        let mut entries = Entries::new();
        let faults = parse(content, &mut entries);
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
        assert_eq!(entries.len(), 2);
        assert!(entries.contains_key("a") && entries.contains_key("d"));
    }
}
