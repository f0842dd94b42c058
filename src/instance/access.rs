//! Whether the service can do with the files of its instance what it has to. The check runs as root,
//! the service as a user of its own: so a process that has become such a user tries.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Group, Uid};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::executed::is_script;
use super::{Instance, opened};
use crate::error::Failure;
use crate::limits;

/// The first word of a command line that makes this program one that tries. Behind it stand pairs
/// of a [`Need`]'s word and a path. It is not for people.
pub const WORD: &str = "--try-access";

/// The unit's `Group=`.
const GROUP: &str = "_websockify";

/// Any number that `DynamicUser=` gives (systemd.exec(5)): files are not its own.
const USER: u32 = 65519;

/// What the service does with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It goes there, and into it where it is a directory: what lies in there is judged when it is
    /// asked for.
    Reach,
    /// It reads the file, or every file of the directory.
    Read,
    /// It executes the file.
    Execute,
}

impl Need {
    const ALL: [Self; 3] = [Self::Reach, Self::Read, Self::Execute];

    const fn word(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Read => "read",
            Self::Execute => "execute",
        }
    }

    /// The file or directory that stands in the way, if permission is what is missing.
    fn refused(self, path: &Path) -> Option<PathBuf> {
        let may_not = |path: &Path, how| access(path, how) == Err(Errno::ACCESS);
        let mut way: Vec<&Path> = path.ancestors().skip(1).collect();
        way.reverse();
        if let Some(closed) = way.into_iter().find(|it| may_not(it, Access::EXEC_OK)) {
            return Some(closed.to_owned());
        }
        let how = match (self, path.is_dir()) {
            (Self::Reach, false) => return None,
            (Self::Reach, true) | (Self::Execute, _) => Access::EXEC_OK,
            (Self::Read, false) => Access::READ_OK,
            (Self::Read, true) => Access::READ_OK | Access::EXEC_OK,
        };
        if may_not(path, how) {
            return Some(path.to_owned());
        }
        if self != Self::Read {
            return None;
        }
        let entries = path.read_dir().ok()?.flatten().take(limits::CHECKED_FILES);
        let mut files = entries.map(|it| it.path()).filter(|it| it.is_file());
        files.find(|it| may_not(it, Access::READ_OK))
    }
}

/// Tries these pairs, and returns a line for the first place that it may not use.
#[must_use]
pub fn refused(words: &[OsString]) -> String {
    let refused = words.chunks_exact(2).find_map(|pair| {
        let need = Need::ALL.into_iter().find(|need| pair[0] == need.word())?;
        need.refused(Path::new(&pair[1]))
    });
    refused.map_or(String::new(), |path| path.display().to_string() + "\n")
}

impl Instance {
    /// Judges whether the service can use what is not handed over to it.
    pub(super) fn can_be_used_by_the_service(&self) -> Result<(), Failure> {
        // Without the group this is no installation, and another user than root cannot try.
        let Ok(Some(group)) = Group::from_name(GROUP) else {
            return Ok(());
        };
        if !Uid::effective().is_root() {
            return Ok(());
        }
        let mut needs = opened::used(self);
        for file in self.executed() {
            if is_script(&file) {
                needs.push((Need::Read, file.clone()));
            }
            needs.push((Need::Execute, file));
        }
        let Ok(Some(refused)) = try_as_the_service(&needs, group.gid) else {
            return Ok(());
        };
        let executed = needs.contains(&(Need::Execute, PathBuf::from(&refused)));
        let (use_, file, mode) = if Path::new(&refused).is_dir() {
            ("read", "directory", "750")
        } else if executed {
            ("execute", "file", "750")
        } else {
            ("read", "file", "640")
        };
        let sentence = format!(
            "{}: the service may not {use_} the {file} {refused}, because it runs as a user of its \
             own, in the group {GROUP}: chgrp {GROUP} {refused} && chmod {mode} {refused}",
            self.path.display()
        );
        if self.has_the_users_of_the_template() {
            return Err(Failure::start(sentence));
        }
        log::warn!("{sentence} (unless its drop-ins let it)");
        Ok(())
    }

    /// Whether no drop-in gives the service another user or more groups.
    fn has_the_users_of_the_template(&self) -> bool {
        let shown = self.shown("DynamicUser,Group,SupplementaryGroups");
        [
            "DynamicUser=yes",
            "Group=_websockify",
            "SupplementaryGroups=",
        ]
        .iter()
        .all(|line| shown.lines().any(|it| it == *line))
    }

    /// Properties of the service with all of its drop-ins; empty where nobody can be asked.
    pub(super) fn shown(&self, properties: &str) -> String {
        let unit = format!("websockify@{}.service", self.name);
        let shown = Command::new("systemctl")
            .arg("show")
            .arg(format!("--property={properties}"))
            .arg(unit)
            .output();
        let shown = shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned());
        shown.unwrap_or_default()
    }
}

fn try_as_the_service(needs: &[(Need, PathBuf)], group: Gid) -> io::Result<Option<String>> {
    if needs.is_empty() {
        return Ok(None);
    }
    let mut trial = Command::new(env::current_exe()?);
    trial.arg(WORD);
    for (need, path) in needs {
        trial.arg(need.word()).arg(path);
    }
    // By becoming another user it loses root's other groups as well.
    let tried = trial
        .env_clear()
        .uid(USER)
        .gid(group.as_raw())
        .current_dir("/")
        .output()?;
    let refused = String::from_utf8_lossy(&tried.stdout).trim_end().to_owned();
    Ok(Some(refused).filter(|it| !it.is_empty()))
}
