//! An instance's file, `/etc/websockify/NAME.conf`, for those that work with it around the bridge:
//! [`check`] before the socket listens and before a reload, [`refresh`] during one, and
//! [`generator`], by which it says what only units can.

pub mod access;
pub mod check;
mod environment_file;
mod executed;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod generator;
mod listening;
mod opened;
mod program;
pub mod refresh;
pub mod reload;
mod written;

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::systemd::credentials;
use crate::{executable, limits};

/// Where the files are.
const FOLDER: &str = "/etc/websockify";

/// Stands where a file is not UTF-8: no character, which systemd takes no more than such bytes.
const NOT_UTF8: char = '\u{ffff}';

/// The variables that name files to hand over as credentials.
const HANDED_OVER: &[&str] = &[
    "WEBSOCKIFY_CERT",
    "WEBSOCKIFY_KEY",
    "WEBSOCKIFY_KEY_PASSWORD_FILE",
    "WEBSOCKIFY_CAFILE",
    "WEBSOCKIFY_SSL_TARGET_CAFILE",
    "WEBSOCKIFY_SSL_TARGET_CERT",
    "WEBSOCKIFY_SSL_TARGET_KEY",
];

/// What one file says.
#[derive(Debug)]
struct Instance {
    name: String,
    path: PathBuf,
    variables: Vec<(String, String)>,
}

impl Instance {
    /// Reads the file of the instance `name`.
    fn read(folder: &Path, name: &str) -> Result<Self, Failure> {
        if !is_name(name) {
            return Err(Failure::start(format!(
                "'{name}' cannot be an instance's name, because its user is ws-{name}: \
                 take 1 to 28 of a-z, A-Z, 0-9, '-' and '_'"
            )));
        }
        let path = folder.join(format!("{name}.conf"));
        let text = read_bounded(&path).map_err(|error| {
            let path = path.display();
            Failure::start(match error.kind() {
                io::ErrorKind::NotFound => {
                    format!("there is no {path}: write it, with a line WEBSOCKIFY_TARGET=host:port")
                }
                _ => format!("{path}: {error}"),
            })
        })?;
        let variables = environment_file::parse(&text);
        let is_bad = |(key, value): &&(String, String)| (key.clone() + value).contains(NOT_UTF8);
        if let Some((key, _)) = variables.iter().find(is_bad) {
            return Err(Failure::start(format!(
                "{}: the line of {} is not UTF-8, and systemd reads nothing else: save the file \
                 in UTF-8",
                path.display(),
                key.replace(NOT_UTF8, "?")
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            path,
            variables,
        })
    }

    /// A variable's value; none where it is empty. The last line wins, as systemd has it.
    fn value(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().rev().find(|(it, _)| it == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|it| !it.is_empty())
    }

    /// What may be a directory of certificates, also one that is not there yet: what it is is seen
    /// when the service starts.
    fn perhaps_directories(&self) -> Vec<&str> {
        let certificates = self.value("WEBSOCKIFY_CERT").unwrap_or_default();
        let perhaps = certificates
            .split(',')
            .filter(|path| credentials::prefix(path).is_some() && !Path::new(path).is_file());
        perhaps.collect()
    }

    /// The directories of certificates, whose files are handed over. The manager could do that, but
    /// would leave out links, which certbot's are.
    fn directories(&self) -> Vec<&str> {
        let mut directories = self.perhaps_directories();
        directories.retain(|path| Path::new(path).is_dir());
        directories
    }

    /// The files to hand over as credentials.
    fn credentials(&self) -> Vec<&str> {
        let values = HANDED_OVER.iter().filter_map(|name| self.value(name));
        let directories = self.directories();
        let mut paths: Vec<&str> = values
            .flat_map(|list| list.split(','))
            .filter(|path| path.starts_with('/') && credentials::name(path).is_some())
            .filter(|path| !directories.contains(path))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// Whether a path means itself where a unit names it.
fn can_be_named(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-@=,+".contains(&byte);
    path.starts_with('/') && path.bytes().all(plain)
}

/// Whether `ws-NAME` can be a user.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=28).contains(&name.len()) && name.bytes().all(plain)
}

/// Reads a regular file of a size that people write; never waits, whatever it is. What is not UTF-8
/// becomes a [`NOT_UTF8`].
fn read_bounded(path: &Path) -> io::Result<String> {
    let bytes = executable::beginning(path, limits::INSTANCE_FILE + 1)?;
    if bytes.len() as u64 > limits::INSTANCE_FILE {
        return Err(io::Error::other("it is too large for an instance's file"));
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(NOT_UTF8);
        }
    }
    Ok(text)
}

#[cfg(test)]
impl Instance {
    /// One whose file has these variables, less `WEBSOCKIFY_`.
    fn of(name: &str, lines: &[(&str, &str)]) -> Self {
        let variable =
            |(key, value): &(&str, &str)| (format!("WEBSOCKIFY_{key}"), (*value).to_owned());
        Self {
            name: name.into(),
            path: format!("{FOLDER}/{name}.conf").into(),
            variables: lines.iter().map(variable).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Instance;

    /// systemd takes the variables and leaves comments alone.
    #[test]
    fn what_is_not_utf8_is_refused_where_systemd_refuses_it() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &[u8]| {
            fs::write(folder.path().join("1.conf"), text).unwrap();
            Instance::read(folder.path(), "1").map_err(|failure| failure.to_string())
        };
        let good = read("# caf\u{e9} \u{fffd}\nWEBSOCKIFY_WEB=/caf\u{e9}/\u{fffd}\n".as_bytes());
        assert_eq!(
            good.unwrap().value("WEBSOCKIFY_WEB"),
            Some("/café/\u{fffd}")
        );
        let comment = read(b"# caf\xe9\nWEBSOCKIFY_WEB=/srv\n");
        assert_eq!(comment.unwrap().value("WEBSOCKIFY_WEB"), Some("/srv"));
        for text in [&b"WEBSOCKIFY_WEB=/caf\xe9\n"[..], b"CAF\xc9=1\n"] {
            let why = read(text).unwrap_err();
            assert!(why.contains("is not UTF-8"), "{why}");
        }
    }
}
