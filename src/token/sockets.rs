//! `UnixDomainSocketDirectory`: a token is the path of a socket in a directory.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use tokio::task::spawn_blocking;

use super::Fault;
use crate::route::Route;
use crate::target::{Target, find_socket};

/// The directory.
#[derive(Debug)]
pub(super) struct Sockets(PathBuf);

impl Sockets {
    pub(super) fn new(root: PathBuf) -> Result<Self, String> {
        match fs::metadata(&root) {
            Ok(found) if found.is_dir() => Ok(Self(root)),
            Ok(_) => Err(format!("{} is not a directory of sockets", root.display())),
            Err(error) => Err(format!("directory of sockets {}: {error}", root.display())),
        }
    }

    /// Says whether there is such a socket. It is found anew when the session begins, by the same
    /// rules.
    pub(super) async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        let Some(path) = relative(token) else {
            return Ok(None);
        };
        let target = Target::Inside {
            root: self.0.clone(),
            path: path.clone(),
        };
        let root = self.0.clone();
        let found = spawn_blocking(move || find_socket(&root, Path::new("."), &path)).await;
        match found.map_err(|error| Fault(error.to_string()))? {
            Ok(_) => Ok(Some(Route {
                // The socket's name is the token.
                name: Some(format!("unix:{}/*", self.0.display()).into()),
                ..Route::to(target)
            })),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => Err(Fault(error.to_string())),
                _ => Ok(None),
            },
        }
    }
}

/// A token that leads down as the plain path of its socket.
pub(super) fn spelt(token: &str) -> String {
    let parts = token.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

/// A token as a path that leads down only.
fn relative(token: &str) -> Option<PathBuf> {
    let path = Path::new(token);
    let down = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    (down && !token.is_empty() && !token.contains('\0')).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{relative, spelt};

    #[test]
    fn one_spelling_for_each() {
        for token in ["a/b", "./a/b", "a//b", "a/./b", ".//a/./b/"] {
            assert_eq!(spelt(token), "a/b", "{token}");
        }
        assert_eq!(spelt("..vm"), "..vm");
    }

    #[test]
    fn only_down() {
        for token in ["vm1", "a/b", "./vm1", "..vm"] {
            assert!(relative(token).is_some(), "{token}");
        }
        for token in ["", "..", "../vm1", "a/../../b", "/run/vm1", "a\0b"] {
            assert!(relative(token).is_none(), "{token}");
        }
    }
}
