//! `--refresh-credentials`: renewed keys for a running instance. systemd hands credentials over at
//! start only, so a reload copies them, with root's rights, to where the service looks first. Those in
//! a directory come this way at the start as well.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use rustix::fs::{self, AtFlags, Dir, Gid, Mode, OFlags, Uid};

use super::{FOLDER, Instance};
use crate::error::Failure;
use crate::limits;
use crate::systemd::credentials;
use crate::tls::certificate::in_directory;

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
    let runtime = Path::new(RUNTIME).join(name);
    let failed = |what: &dyn std::fmt::Display, error: io::Error| {
        Failure::start(format!("cannot refresh credentials: {what}: {error}"))
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = fs::open(&runtime, flags, Mode::empty())
        .map_err(|error| failed(&runtime.display(), error.into()))?;
    for certificates in &directories {
        let found =
            in_directory(Path::new(certificates)).map_err(|error| failed(certificates, error))?;
        paths.extend(
            found
                .iter()
                .filter_map(|path| path.to_str())
                .map(str::to_owned),
        );
    }
    for path in &paths {
        read(path)
            .and_then(|content| put(&directory, path, &content))
            .map_err(|error| failed(path, error))?;
    }
    let kept: Vec<String> = paths
        .iter()
        .filter_map(|path| credentials::name(path))
        .collect();
    for certificates in directories {
        forget(&directory, certificates, &kept).map_err(|error| failed(&certificates, error))?;
    }
    Ok(())
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
    File::open(path)?
        .take(limits::CREDENTIAL_FILE)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// Puts it in place at once, for the directory's owner only. The directory is the service's, which
/// may have been broken into: nothing in it is followed.
fn put(directory: &OwnedFd, path: &str, content: &[u8]) -> io::Result<()> {
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

/// Removes what was copied from `certificates` and is not there any more.
fn forget(directory: &OwnedFd, certificates: &str, kept: &[String]) -> io::Result<()> {
    let prefix = credentials::prefix(certificates).ok_or(io::ErrorKind::InvalidInput)?;
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&prefix) && !kept.contains(&name) {
            fs::unlinkat(directory, &name, AtFlags::empty())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{fs, put};
    use rustix::fs::{Mode, OFlags};

    #[test]
    fn nothing_that_the_service_has_put_there_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (runtime, other) = (folder.path().join("runtime"), folder.path().join("other"));
        std::fs::create_dir(&runtime).unwrap();
        std::fs::write(&other, "somebody else's").unwrap();
        for name in ["etc+key", ".etc+key"] {
            symlink(&other, runtime.join(name)).unwrap();
        }
        let directory = fs::open(&runtime, OFlags::DIRECTORY, Mode::empty()).unwrap();
        put(&directory, "/etc/key", b"the key").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "somebody else's");
        let key = runtime.join("etc+key");
        assert!(std::fs::symlink_metadata(&key).unwrap().is_file());
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "the key");
    }
}
