//! Who may come in with a password, as it was given or as a file says it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use openssl::error::ErrorStack;

use super::htpasswd::{self, Hash};
use super::seal::{Seal, Sealed};
use crate::limits;

/// Where users come from.
#[derive(Clone)]
pub enum Source {
    /// One user and the password.
    Literal(String, String),
    /// A password file.
    File(PathBuf),
}

impl Source {
    /// Reads an `--auth-source`.
    ///
    /// # Errors
    /// One sentence; what was given is not in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file = text
            .strip_prefix('@')
            .or_else(|| text.strip_prefix("htpasswd:"));
        if let Some(path) = file.filter(|path| !path.is_empty()) {
            return Ok(Self::File(path.into()));
        }
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Ok(Self::Literal(user.to_owned(), password.to_owned()))
            }
            _ => Err("BasicHTTPAuth needs --auth-source=USER:PASSWORD or @FILE".to_owned()),
        }
    }
}

impl Source {
    /// The file to watch.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Literal(..) => None,
            Self::File(path) => Some(path.clone()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(..) => f.write_str("Literal"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// One state of the users. Names are looked up by their seals, so that the time of a look-up says
/// nothing about them.
pub(super) struct Users {
    known: HashMap<Sealed, User>,
    /// Their order, to find a stand-in for an unknown one.
    all: Vec<Sealed>,
    verified: Mutex<HashMap<Sealed, Instant>>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users")
    }
}

struct User {
    secret: Secret,
    /// Changes with the password.
    proof: Sealed,
}

enum Secret {
    /// The seal of user and password.
    Sealed(Sealed),
    Hash(Arc<Hash>),
}

/// What to do about credentials.
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Compute this hash. `bool` is whether the user is there at all: one that is not costs as
    /// much as one that is.
    Ask(Arc<Hash>, bool),
}

impl Users {
    /// Blocks for a file.
    ///
    /// # Errors
    /// One sentence with the file and the line.
    pub(super) fn load(source: &Source, seal: &Seal) -> Result<Self, String> {
        let users = match source {
            Source::Literal(user, password) => {
                let sealed = seal.seal(&[user.as_bytes(), password.as_bytes()]);
                sealed.and_then(|it| Self::new(seal, [(user.clone(), Secret::Sealed(it))]))
            }
            Source::File(path) => {
                let entries = read(path)?.into_iter();
                let hashes = entries.map(|it| (it.user, Secret::Hash(Arc::new(it.hash))));
                Self::new(seal, hashes)
            }
        };
        users.map_err(|error| format!("BasicHTTPAuth: {error}"))
    }

    fn new(
        seal: &Seal,
        given: impl IntoIterator<Item = (String, Secret)>,
    ) -> Result<Self, ErrorStack> {
        let (mut known, mut all) = (HashMap::new(), Vec::new());
        for (name, secret) in given {
            let name = seal.seal(&[name.as_bytes()])?;
            let proof = match &secret {
                Secret::Sealed(sealed) => *sealed,
                Secret::Hash(hash) => seal.seal(&[hash.text().as_bytes()])?,
            };
            known.insert(name, User { secret, proof });
            all.push(name);
        }
        Ok(Self {
            known,
            all,
            verified: Mutex::default(),
        })
    }

    /// `credentials` is the seal of user and password, `name` that of the user.
    pub(super) fn judge(&self, name: &Sealed, credentials: &Sealed) -> Verdict {
        if self.is_verified(credentials) {
            return Verdict::Right;
        }
        let known = self.known.get(name);
        let Some(user) = known.or_else(|| self.stand_in(name)) else {
            return Verdict::Wrong;
        };
        match &user.secret {
            Secret::Sealed(sealed) if sealed == credentials => Verdict::Right,
            Secret::Sealed(_) => Verdict::Wrong,
            Secret::Hash(hash) => Verdict::Ask(hash.clone(), known.is_some()),
        }
    }

    /// What a pass is bound to beside the user's name.
    pub(super) fn proof(&self, name: &Sealed) -> Option<Sealed> {
        self.known.get(name).map(|user| user.proof)
    }

    /// The same one for the same name each time, as it would be if the user were there.
    fn stand_in(&self, name: &Sealed) -> Option<&User> {
        let number = name.bytes().iter().fold(0_usize, |number, byte| {
            number.wrapping_mul(31) ^ usize::from(*byte)
        });
        let index = number.checked_rem(self.all.len())?;
        self.known.get(self.all.get(index)?)
    }

    fn is_verified(&self, credentials: &Sealed) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let when = verified.get(credentials);
        when.is_some_and(|when| when.elapsed() < limits::VERIFIED_TIME)
    }

    pub(super) fn remember(&self, credentials: Sealed) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= limits::VERIFIED_KNOWN {
            verified.retain(|_, when| when.elapsed() < limits::VERIFIED_TIME);
        }
        if verified.len() < limits::VERIFIED_KNOWN {
            verified.insert(credentials, Instant::now());
        }
    }
}

fn read(path: &Path) -> Result<Vec<htpasswd::Entry>, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let entries =
        htpasswd::parse(&text).map_err(|(line, fault)| format!("{shown}:{line}: {fault}"))?;
    if entries.is_empty() {
        return Err(format!("{shown}: there is no user in it"));
    }
    Ok(entries)
}
