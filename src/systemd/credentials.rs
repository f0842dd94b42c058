//! Files that the service's user may not read, handed over by the manager (systemd.exec(5),
//! Credentials): a configuration goes on naming the file itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the manager leaves renewed files, which win, and where those from the start are.
const PLACES: [&str; 2] = ["RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY"];

/// Beside renewed files: why a reload was refused before it came to us.
pub const REFUSAL: &str = "refused-reload";

/// The directories of this process's credentials.
pub fn directories() -> impl Iterator<Item = PathBuf> {
    let places = PLACES.iter().filter_map(env::var_os);
    // Each is a list; ours has one.
    places.filter_map(|list| env::split_paths(&list).next())
}

/// Where to read what a configuration calls `path`: its credential where there is one, or else
/// itself. A name without a slash may be a credential's own.
#[must_use]
pub fn located(path: &Path) -> PathBuf {
    let Some(name) = path.to_str().and_then(name) else {
        return path.to_owned();
    };
    directories()
        .map(|directory| directory.join(&name))
        .find(|credential| credential.exists())
        .unwrap_or_else(|| path.to_owned())
}

/// The files of a directory that were handed over, by their own paths; none where the directory was
/// not.
#[must_use]
pub fn beneath(directory: &Path) -> Vec<PathBuf> {
    let Some(prefix) = directory.to_str().and_then(prefix) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for place in directories() {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        files.extend(
            names
                .filter(|name| name.starts_with(&prefix))
                .map(|name| PathBuf::from(format!("/{}", name.replace('+', "/")))),
        );
    }
    files.sort();
    files.dedup();
    files
}

/// How the names of the credentials of a directory's files begin.
#[must_use]
pub fn prefix(directory: &str) -> Option<String> {
    let absolute = directory.starts_with('/') && !is_encrypted(directory);
    let name = name(directory.trim_end_matches('/')).filter(|_| absolute)?;
    Some(name + "+")
}

/// The name of a file's credential: `etc+ssl+vnc.key` for `/etc/ssl/vnc.key`. An encrypted one has
/// its own name, as `systemd-creds encrypt` gave it. `None` for a path that systemd could not be
/// told in a unit, or that would share its name with another's.
#[must_use]
pub fn name(path: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-@=,".contains(&byte);
    if path.len() > 250 || !path.bytes().all(plain) {
        return None;
    }
    let name = if is_encrypted(path) {
        path.rsplit('/').next().map(str::to_owned)
    } else {
        Some(path.trim_start_matches('/').replace('/', "+"))
    };
    name.filter(|name| !["", ".", ".."].contains(&name.as_str()))
}

/// Whether a file is what `systemd-creds encrypt` makes.
#[must_use]
pub fn is_encrypted(path: &str) -> bool {
    path.ends_with(".cred")
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_path_has_one_name_and_a_name_one_path() {
        for (path, expected) in [
            ("/etc/ssl/vnc.key", Some("etc+ssl+vnc.key")),
            ("/etc/websockify/vnc.key.cred", Some("vnc.key.cred")),
            ("vnc.key", Some("vnc.key")),
            ("/etc/a+b", None),
            ("/etc/a b", None),
            ("/etc/a%b", None),
            ("/etc/a:b", None),
            ("/etc/ä", None),
            ("/", None),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(name(path).as_deref(), expected, "{path}");
        }
    }
}
