//! `--refresh-credentials`: renewed keys for a running instance. systemd hands credentials over at
//! start only, so a reload copies them, with root's rights, to where the service looks first. Those in
//! a directory come this way at the start as well.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{self, AtFlags, Dir, Gid, Mode, OFlags, Uid};

use super::{FOLDER, Instance};
use crate::error::Failure;
use crate::systemd::credentials;
use crate::tls::certificate::in_directory;
use crate::{executable, limits};

/// Where the service's `RuntimeDirectory=` is.
const RUNTIME: &str = "/run/websockify";

/// Copies every credential of the instance that runs.
///
/// # Errors
/// One sentence that names the file.
pub fn refresh(name: &str) -> Result<(), Failure> {
    let instance = Instance::read(Path::new(FOLDER), name)?;
    let directories = instance.directories();
    let mut paths: Vec<String> = instance
        .credentials()
        .into_iter()
        .map(str::to_owned)
        .collect();
    if paths.is_empty() && directories.is_empty() {
        return Ok(());
    }
    let runtime = Runtime::of(name)?;
    for directory in &directories {
        let found =
            in_directory(Path::new(directory)).map_err(|error| failed(directory, &error))?;
        paths.extend(
            found
                .iter()
                .filter_map(|path| path.to_str().map(str::to_owned)),
        );
    }
    for path in &paths {
        let content = read(path).map_err(|error| failed(path, &error))?;
        runtime.put(path, &content)?;
    }
    // What was copied from a directory and is not there any more.
    let kept: Vec<String> = paths
        .iter()
        .filter_map(|path| credentials::name(path))
        .collect();
    let prefixes: Vec<String> = directories
        .into_iter()
        .filter_map(credentials::prefix)
        .collect();
    runtime.forget(|name| {
        let copied = prefixes.iter().any(|prefix| name.starts_with(prefix));
        copied && !kept.iter().any(|it| it == name)
    })
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::start(format!("cannot refresh credentials: {what}: {error}"))
}

/// What the credential of `path` holds now.
pub(super) fn read(path: &str) -> io::Result<Vec<u8>> {
    if credentials::is_encrypted(path) {
        let output = Command::new("systemd-creds")
            .args(["decrypt", path, "-"])
            .output()?;
        return if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr)))
        };
    }
    let mut content = Vec::new();
    executable::open(Path::new(path))?
        .take(limits::CREDENTIAL_FILE)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// The directory of a service that runs. It is the service's own, which may have been broken into:
/// nothing in it is followed.
pub(super) struct Runtime {
    directory: OwnedFd,
    path: PathBuf,
}

impl Runtime {
    /// That of the instance `name`.
    pub(super) fn of(name: &str) -> Result<Self, Failure> {
        Self::open(Path::new(RUNTIME).join(name))
    }

    fn open(path: PathBuf) -> Result<Self, Failure> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::open(&path, flags, Mode::empty()) {
            Ok(directory) => Ok(Self { directory, path }),
            Err(error) => Err(failed(&path.to_string_lossy(), &error.into())),
        }
    }

    /// Puts the credential of `path` in place at once, for the directory's owner only.
    pub(super) fn put(&self, path: &str, content: &[u8]) -> Result<(), Failure> {
        self.try_to_put(path, content)
            .map_err(|error| failed(path, &error))
    }

    fn try_to_put(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let directory = &self.directory;
        let name = credentials::name(path).ok_or(io::ErrorKind::InvalidInput)?;
        let new = format!(".{name}");
        let owner = fs::fstat(directory)?;
        match fs::unlinkat(directory, &new, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = File::from(fs::openat(directory, &new, flags, Mode::RUSR)?);
        file.write_all(content)?;
        let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
        fs::fchown(file.as_fd(), Some(uid), Some(gid))?;
        fs::renameat(directory, &new, directory, &name)?;
        Ok(())
    }

    /// Removes what is not wanted any more.
    pub(super) fn forget(&self, unwanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let forgotten = || {
            for entry in Dir::read_from(&self.directory)? {
                let entry = entry?;
                let name = entry.file_name();
                if unwanted(&name.to_string_lossy()) {
                    fs::unlinkat(&self.directory, name, AtFlags::empty())?;
                }
            }
            Ok(())
        };
        forgotten().map_err(|error| failed(&self.path.to_string_lossy(), &error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::Runtime;

    #[test]
    fn nothing_that_the_service_has_put_there_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (runtime, other) = (folder.path().join("runtime"), folder.path().join("other"));
        std::fs::create_dir(&runtime).unwrap();
        std::fs::write(&other, "somebody else's").unwrap();
        for name in ["etc+key", ".etc+key"] {
            symlink(&other, runtime.join(name)).unwrap();
        }
        let opened = Runtime::open(runtime.clone()).unwrap();
        opened.put("/etc/key", b"the key").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "somebody else's");
        let key = runtime.join("etc+key");
        assert!(std::fs::symlink_metadata(&key).unwrap().is_file());
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "the key");
        symlink(&other, runtime.join("old")).unwrap();
        opened.forget(|name| name == "old").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "somebody else's");
        assert!(std::fs::symlink_metadata(runtime.join("old")).is_err());
        assert!(key.exists());
    }
}
