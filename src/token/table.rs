//! Tokens in files, kept in memory: `TokenFile`, and `TokenFileName`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::limits;
use crate::log::escape::Cut;
use crate::route::Route;
use crate::target::Target;
use crate::watch::{Watch, is_for_want, is_hidden};

/// How files hold tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `TOKEN: TARGET` in each line of a file, or of all files in a directory.
    Lines,
    /// A file for each token, named like it, with the target in it.
    FileNames,
}

/// What the files say, and where they are.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    layout: Layout,
    entries: RwLock<Entries>,
    /// Readings begun so far.
    readings: AtomicU64,
    /// Until it is in the runtime; none where the kernel would not have it.
    watch: Mutex<Option<Watch>>,
}

/// One state of the files.
#[derive(Debug, Default)]
pub(super) struct Entries {
    targets: HashMap<Box<str>, Target>,
    /// The number of the reading that found it.
    reading: u64,
}

impl Table {
    /// Reads `path`, which is watched from before that.
    pub(super) fn load(path: PathBuf, layout: Layout) -> Result<Self, String> {
        if layout == Layout::FileNames && fs::metadata(&path).is_ok_and(|found| !found.is_dir()) {
            let path = path.display();
            return Err(format!(
                "TokenFileName plugin requires a directory, and {path} is none"
            ));
        }
        let watch = Watch::new(&path)
            .inspect_err(|error| unwatched(&path, error))
            .ok();
        let table = Self {
            path,
            layout,
            entries: RwLock::default(),
            readings: AtomicU64::new(0),
            watch: Mutex::new(watch),
        };
        table.renew(table.read().map_err(|unread| unread.to_string())?);
        Ok(table)
    }

    pub(super) fn class(&self) -> &'static str {
        match self.layout {
            Layout::Lines => "TokenFile",
            Layout::FileNames => "TokenFileName",
        }
    }

    /// Reads anew; blocks, and changes nothing yet. A bad line is reported and stops no other.
    ///
    /// # Errors
    /// Which file cannot be read.
    pub(super) fn read(&self) -> Result<Entries, Unread> {
        let reading = self.readings.fetch_add(1, Ordering::Relaxed) + 1;
        let cannot = |path: &Path| {
            let place = self.shown(path);
            move |error| Unread { place, error }
        };
        let mut targets = HashMap::new();
        let mut faults = 0;
        for file in files(&self.path).map_err(cannot(&self.path))? {
            let content = match fs::read(&file) {
                Ok(content) => content,
                // It was there a moment ago: word of its end is on its way.
                Err(error) if error.kind() == io::ErrorKind::NotFound && file != self.path => {
                    continue;
                }
                Err(error) => return Err(cannot(&file)(error)),
            };
            let found = match self.layout {
                Layout::Lines => parse_lines(&content, &mut targets),
                Layout::FileNames => parse_named(&file, &content, &mut targets)
                    .into_iter()
                    .collect(),
            };
            for LineFault { line, text } in found {
                faults += 1;
                if faults <= limits::LINE_FAULTS {
                    match self.layout {
                        Layout::Lines => log::warn!("{}:{line}: {text}", self.shown(&file)),
                        Layout::FileNames => log::warn!("{}: {text}", self.shown(&file)),
                    }
                }
            }
        }
        if faults > limits::LINE_FAULTS {
            let more = faults - limits::LINE_FAULTS;
            log::warn!("{}: {more} more bad lines", self.path.display());
        }
        Ok(Entries { targets, reading })
    }

    /// A file as the log may have it: of a token that is a file's name, only where it is. The names
    /// in a directory are whoever's who may write there.
    fn shown(&self, file: &Path) -> String {
        // Not cut, for the kernel bounds them: an end is what tells one file from another.
        let escaped = |path: &Path| Cut(&path.display().to_string(), usize::MAX).to_string();
        match self.layout {
            Layout::FileNames if file != self.path => {
                format!("one of the files in {}", escaped(&self.path))
            }
            _ => escaped(file),
        }
    }

    /// Goes by `entries` from now on, unless what was read later is known already.
    pub(super) fn renew(&self, entries: Entries) {
        let mut known = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if known.reading < entries.reading {
            log::info!(
                "{} tokens in {}",
                entries.targets.len(),
                self.path.display()
            );
            // The old ones are freed when nobody waits for the lock any more.
            let _old = std::mem::replace(&mut *known, entries);
            drop(known);
        }
    }

    /// A token as it is known here. A name in a directory, wherever a path leads: websockify takes
    /// the last part of one.
    pub(super) fn spelt<'t>(&self, token: &'t str) -> &'t str {
        match self.layout {
            Layout::Lines => token,
            Layout::FileNames => token.rsplit('/').next().unwrap_or_default(),
        }
    }

    pub(super) fn look_up(&self, token: &str) -> Option<Route> {
        let token = self.spelt(token);
        let known = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        known.targets.get(token).cloned().map(Route::to)
    }

    /// Reads anew whenever the files change, for as long as it is polled.
    pub(super) async fn keep(self: Arc<Self>) {
        let watch = self
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let ended = match watch {
            Some(watch) => self.clone().follow(watch).await,
            None => Ok(()),
        };
        if let Err(error) = ended {
            unwatched(&self.path, &error);
        }
        std::future::pending::<()>().await;
    }

    async fn follow(self: Arc<Self>, watch: Watch) -> io::Result<()> {
        let mut watch = watch.start()?;
        let mut again = false;
        loop {
            let changed = Watch::changed(&mut watch);
            if !again {
                changed.await?;
            } else if let Ok(changed) = timeout(limits::WATCH_RETRY, changed).await {
                changed?;
            }
            let table = self.clone();
            let look = spawn_blocking(move || {
                let followed = watch.get_mut().follow();
                let read = table.read().map(|entries| table.renew(entries));
                (watch, followed, read.err())
            });
            let (same, followed, unread) = look.await?;
            watch = same;
            let told = again;
            again = unread.as_ref().is_some_and(|it| is_for_want(&it.error));
            match unread {
                Some(unread) if !(told && again) => {
                    log::error!("tokens stay as they were: {unread}");
                }
                _ => {}
            }
            match followed {
                Err(error) if is_for_want(&error) => {
                    if !(told || again) {
                        let path = self.path.display();
                        log::warn!("{path} cannot be watched for now: {error}");
                    }
                    again = true;
                }
                followed => followed?,
            }
        }
    }
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read tokens from {place}: {error}")]
pub(super) struct Unread {
    place: String,
    error: io::Error,
}

fn unwatched(path: &Path, error: &io::Error) {
    log::warn!(
        "{} is not watched, so that SIGHUP is needed after a change: {error}",
        path.display()
    );
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
        // Follows links: the files of a Kubernetes volume are nothing else.
        if !is_hidden(&entry.file_name())
            && fs::metadata(entry.path()).is_ok_and(|found| found.is_file())
        {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// What is wrong with a line. The line itself may hold a token, so it is not told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineFault {
    line: usize,
    text: &'static str,
}

/// Reads `TOKEN: TARGET` lines, of which a later one wins.
pub(super) fn parse_lines(
    content: &[u8],
    targets: &mut HashMap<Box<str>, Target>,
) -> Vec<LineFault> {
    let mut faults = Vec::new();
    for (line, bytes) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        match std::str::from_utf8(bytes).map(|text| parse_line(text.trim())) {
            Ok(Ok(Some((token, target)))) => {
                targets.insert(token.into(), target);
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
fn parse_line(line: &str) -> Result<Option<(&str, Target)>, &'static str> {
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
    Ok(Some((token, Route::parse(target)?.target)))
}

/// Reads the target of the token that a file is named like.
fn parse_named(
    file: &Path,
    content: &[u8],
    targets: &mut HashMap<Box<str>, Target>,
) -> Option<LineFault> {
    let fault = |text| Some(LineFault { line: 1, text });
    let Some(token) = file.file_name().and_then(|name| name.to_str()) else {
        return fault("the file's name is not UTF-8, as a token is");
    };
    let Ok(text) = std::str::from_utf8(content) else {
        return fault("the file is not UTF-8");
    };
    match Route::parse(text.trim()) {
        Ok(route) => {
            targets.insert(token.into(), route.target);
            None
        }
        Err(text) => fault(text),
    }
}

#[cfg(test)]
mod tests;
