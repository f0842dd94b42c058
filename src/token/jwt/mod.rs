//! JWTTokenApi: the token itself says where to, and is signed by who may say so.
//!
//! [`compact`] takes a token apart, [`key`] reads the key, [`jws`] judges signatures, [`jwe`]
//! decrypts, and [`claims`] says what follows from it all. The cryptography is OpenSSL's. The two
//! crates there are were weighed: jsonwebtoken brings another library's and does not decrypt;
//! josekit 0.10 compares MACs in a time that tells of them, decrypts before it knows a text to be
//! authentic, takes cut GCM tags and panics where an initialisation vector is missing.

mod claims;
mod compact;
mod jwe;
mod jws;
mod key;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

#[cfg(any(test, fuzzing))]
use crate::limits;
use crate::log::Throttle;
use crate::route::Route;
use compact::Compact;
use key::Key;

/// Why a token counts for nothing, without any part of it.
type Reason = &'static str;

/// What the options say about such tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file of the key.
    pub key: PathBuf,
    /// Who must have made them.
    pub issuer: Option<String>,
    /// For whom they must be.
    pub audience: Option<String>,
    /// Whether a session ends when its token does.
    pub expiry: bool,
}

/// Looks at tokens that say where to.
pub(super) struct Jwt {
    options: Options,
    key: RwLock<Key>,
    refused: Throttle,
}

/// A key that was read for [`Jwt::renew`].
pub(super) struct Renewed(Key);

impl Jwt {
    /// Reads the key.
    ///
    /// # Errors
    /// One sentence with the file.
    pub(super) fn load(options: Options) -> Result<Self, String> {
        let key = read(&options.key)?;
        Ok(Self {
            options,
            key: RwLock::new(key),
            refused: Throttle::default(),
        })
    }

    /// The file of the key.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.options.key
    }

    /// Reads the key anew; blocks, and changes nothing yet.
    ///
    /// # Errors
    /// One sentence with the file.
    pub(super) fn read(&self) -> Result<Renewed, String> {
        read(&self.options.key).map(Renewed)
    }

    /// Goes by what [`Jwt::read`] has read from now on.
    pub(super) fn renew(&self, renewed: Renewed) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = renewed.0;
    }

    /// Where a token says its session goes; `None` if it does not count, which has been logged.
    #[must_use]
    pub(super) fn look_up(&self, token: &str) -> Option<Route> {
        // What this costs at most, one decryption with RSA, is a fraction of a TLS handshake.
        let judged = {
            let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
            open(token, &key).and_then(|it| claims::judge(&it, &self.options, SystemTime::now()))
        };
        match judged {
            Ok(route) => Some(route),
            Err(reason) => {
                if let Some(more) = self.refused.pass() {
                    log::warn!("a JWT does not count: {reason}{more}");
                }
                None
            }
        }
    }
}

/// Returns what a token says whose signature is right; an encrypted one holds a signed one.
fn open(token: &str, key: &Key) -> Result<Vec<u8>, Reason> {
    let encrypted = match Compact::parse(token)? {
        Compact::Signed(signed) => return jws::verify(signed, key),
        Compact::Encrypted(encrypted) => encrypted,
    };
    let inner = String::from_utf8(jwe::decrypt(&encrypted, key)?);
    match Compact::parse(&inner.unwrap_or_default())? {
        Compact::Signed(signed) => jws::verify(signed, key),
        // Whoever has a public key can encrypt.
        Compact::Encrypted(_) => Err("it is encrypted twice"),
    }
}

/// A token for a key that it may even be for, and its text as if it had been signed.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(token: &str) {
    let _ = open(token, &Key::Secret(vec![7; limits::JWT_SECRET]));
    let options = Options {
        key: PathBuf::new(),
        issuer: Some("me".into()),
        audience: Some("me".into()),
        expiry: true,
    };
    let _ = claims::judge(token.as_bytes(), &options, SystemTime::now());
    let _ = Key::parse(token.as_bytes());
}

fn read(path: &Path) -> Result<Key, String> {
    let fault = |fault: String| format!("JWTTokenApi: {}: {fault}", path.display());
    let content = fs::read(path).map_err(|error| fault(error.to_string()))?;
    Key::parse(&content).map_err(fault)
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
