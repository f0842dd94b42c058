//! Whether the service can read the files of its instance. The check runs as root, the service as a
//! user of its own: so a process that has become such a user tries.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Group, Uid};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::Instance;
use crate::error::Failure;
use crate::limits;

/// The first word of a command line that makes this program one that tries. It is not for people.
pub const WORD: &str = "--try-to-read";

/// The unit's `Group=`.
const GROUP: &str = "_websockify";

/// Any number that `DynamicUser=` gives (systemd.exec(5)): files are not its own.
const USER: u32 = 65519;

/// The variables that may name a file or a directory which the service itself reads.
const READ: &[&str] = &[
    "WEBSOCKIFY_WEB",
    "WEBSOCKIFY_AUTH_SOURCE",
    "WEBSOCKIFY_TOKEN_SOURCE",
    "WEBSOCKIFY_TARGET_CONFIG",
];

/// Tries to read these files and directories, and returns a line for the first that it may not.
#[must_use]
pub fn refused(words: &[OsString]) -> String {
    let refused = words.iter().map(Path::new).find_map(find_refused);
    refused.map_or(String::new(), |path| path.display().to_string() + "\n")
}

/// The file or directory that stands in the way, if permission is what is missing.
fn find_refused(path: &Path) -> Option<PathBuf> {
    let may_not = |path: &Path, how| access(path, how) == Err(Errno::ACCESS);
    let mut way: Vec<&Path> = path.ancestors().skip(1).collect();
    way.reverse();
    if let Some(closed) = way.into_iter().find(|it| may_not(it, Access::EXEC_OK)) {
        return Some(closed.to_owned());
    }
    if !path.is_dir() {
        return may_not(path, Access::READ_OK).then(|| path.to_owned());
    }
    if may_not(path, Access::READ_OK | Access::EXEC_OK) {
        return Some(path.to_owned());
    }
    let entries = path.read_dir().ok()?.flatten().take(limits::CHECKED_FILES);
    let mut files = entries.map(|it| it.path()).filter(|it| it.is_file());
    files.find(|it| may_not(it, Access::READ_OK))
}

impl Instance {
    /// Judges whether the service can read what is not handed over to it.
    pub(super) fn can_be_read_by_the_service(&self) -> Result<(), Failure> {
        // Without the group this is no installation, and another user than root cannot try.
        let Ok(Some(group)) = Group::from_name(GROUP) else {
            return Ok(());
        };
        if !Uid::effective().is_root() {
            return Ok(());
        }
        let Ok(Some(refused)) = self.refused_to(group.gid) else {
            return Ok(());
        };
        let (file, mode) = if Path::new(&refused).is_dir() {
            ("directory", "750")
        } else {
            ("file", "640")
        };
        let sentence = format!(
            "{}: the service may not read the {file} {refused}, because it runs as a user of its \
             own, in the group {GROUP}: chgrp {GROUP} {refused} && chmod {mode} {refused}",
            self.path.display()
        );
        if self.has_the_users_of_the_template() {
            return Err(Failure::start(sentence));
        }
        log::warn!("{sentence} (unless its drop-ins let it)");
        Ok(())
    }

    fn refused_to(&self, group: Gid) -> io::Result<Option<String>> {
        let helpers = self.helpers();
        let values = READ.iter().filter_map(|name| self.value(name));
        let places = values
            .flat_map(str::lines)
            .filter(|it| !helpers.contains(it));
        let places = places.map(|it| it.trim_start_matches('@'));
        let paths: Vec<&str> = places.filter(|it| it.starts_with('/')).collect();
        if paths.is_empty() {
            return Ok(None);
        }
        // By becoming another user it loses root's other groups as well.
        let tried = Command::new(env::current_exe()?)
            .arg(WORD)
            .args(paths)
            .env_clear()
            .uid(USER)
            .gid(group.as_raw())
            .current_dir("/")
            .output()?;
        let refused = String::from_utf8_lossy(&tried.stdout).trim_end().to_owned();
        Ok(Some(refused).filter(|it| !it.is_empty()))
    }

    /// Whether no drop-in gives the service another user or more groups.
    fn has_the_users_of_the_template(&self) -> bool {
        let unit = format!("websockify@{}.service", self.name);
        let shown = Command::new("systemctl")
            .arg("show")
            .arg("--property=DynamicUser,Group,SupplementaryGroups")
            .arg(unit)
            .output();
        let shown = shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned());
        let shown = shown.unwrap_or_default();
        [
            "DynamicUser=yes",
            "Group=_websockify",
            "SupplementaryGroups=",
        ]
        .iter()
        .all(|line| shown.lines().any(|it| it == *line))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::find_refused;

    /// For root nothing is refused.
    #[test]
    fn what_stands_in_the_way_is_named() {
        if rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (directory, file) = (folder.path().join("d"), folder.path().join("d/f"));
        fs::create_dir(&directory).unwrap();
        fs::write(&file, "").unwrap();
        let mode = |path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(find_refused(&file), None);
        mode(&file, 0o000);
        assert_eq!(find_refused(&file), Some(file.clone()));
        assert_eq!(find_refused(&directory), Some(file.clone()));
        mode(&directory, 0o600);
        assert_eq!(find_refused(&file), Some(directory.clone()));
        mode(&directory, 0o700);
        assert_eq!(find_refused(&directory.join("missing")), None);
    }
}
