//! Whom the program runs as.

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{self, Gid, Uid, User as Entry};

use crate::error::Failure;

/// A user of this machine.
#[derive(Debug)]
pub(super) struct User {
    /// The user's number.
    pub(super) uid: u32,
    /// The number of the user's own group.
    pub(super) gid: u32,
    /// The log-in name.
    pub(super) name: String,
    /// Where the user lives.
    pub(super) home: PathBuf,
    /// The log-in shell.
    pub(super) shell: PathBuf,
}

impl User {
    /// Looks a name up, and whether we may become that user.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn find(name: &str) -> Result<Self, Failure> {
        let user = Self::look_up(name)?;
        let now = Uid::effective();
        if !now.is_root() && now.as_raw() != user.uid {
            return Err(Failure::start(format!(
                "--wrap-user={name}: only root can run a program as another user"
            )));
        }
        Ok(user)
    }

    /// Looks a name up.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn look_up(name: &str) -> Result<Self, Failure> {
        let entry = match Entry::from_name(name) {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                let text = format!("--wrap-user: there is no user '{name}' here");
                return Err(Failure::start(text));
            }
            Err(error) => {
                return Err(Failure::start(format!("--wrap-user={name}: {error}")));
            }
        };
        Ok(Self {
            uid: entry.uid.as_raw(),
            gid: entry.gid.as_raw(),
            name: entry.name,
            home: entry.dir,
            shell: entry.shell,
        })
    }

    /// Becomes this user, for good: user, group and all of the user's groups. Before there are
    /// threads.
    ///
    /// # Errors
    /// The kernel's, or that of the directory of groups.
    pub(super) fn become_it(&self) -> Result<(), String> {
        if Uid::effective().is_root() {
            let name = CString::new(self.name.as_str()).map_err(|error| error.to_string())?;
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            unistd::initgroups(&name, gid)
                .and_then(|()| unistd::setgid(gid))
                .and_then(|()| unistd::setuid(uid))
                .map_err(|error| format!("cannot become user {}: {error}", self.name))?;
        }
        Ok(())
    }
}
