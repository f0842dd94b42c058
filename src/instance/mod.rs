//! An instance's file, `/etc/websockify/NAME.conf`, for those that work with it around the bridge:
//! [`check`] before the socket listens and before a reload, [`refresh`] during one, and
//! [`generator`], by which it says what only units can.

pub mod access;
pub mod check;
mod environment_file;
mod executed;
pub mod generator;
mod listening;
mod program;
pub mod refresh;
pub mod reload;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::Failure;
use crate::limits;
use crate::systemd::credentials;

/// Where the files are.
const FOLDER: &str = "/etc/websockify";

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
        Ok(Self {
            name: name.to_owned(),
            path,
            variables: environment_file::parse(&text),
        })
    }

    /// A variable's value; none where it is empty. The last line wins, as systemd has it.
    fn value(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().rev().find(|(it, _)| it == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|it| !it.is_empty())
    }

    /// The directories of certificates, whose files are handed over. The manager could do that, but
    /// would leave out links, which certbot's are.
    fn directories(&self) -> Vec<&str> {
        let certificates = self.value("WEBSOCKIFY_CERT").unwrap_or_default();
        let directories = certificates
            .split(',')
            .filter(|path| credentials::prefix(path).is_some() && Path::new(path).is_dir());
        directories.collect()
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

/// Reads a regular file of a size that people write; never waits, whatever it is.
fn read_bounded(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(limits::INSTANCE_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limits::INSTANCE_FILE {
        return Err(io::Error::other("it is too large for an instance's file"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
