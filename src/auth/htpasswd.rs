//! Password files as `htpasswd` and `mkpasswd` write them, with hashes that are worth having.

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use sha_crypt::ShaCrypt;

use crate::limits;

/// A user and what is known of the password.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) user: String,
    pub(super) hash: Hash,
}

/// A hash that is well formed and not too costly.
#[derive(Clone)]
pub(super) enum Hash {
    Bcrypt(String),
    ShaCrypt(String),
    Argon2(Box<PasswordHash>),
}

/// Reads a whole file. Empty lines and those that begin with `#` are comments.
///
/// # Errors
/// The number of a line and what is wrong with it; nothing of the line itself.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = entry(line).map_err(|fault| (number, fault))?;
        if entries.iter().any(|other| other.user == entry.user) {
            return Err((number, "this user is there already".to_owned()));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(line: &str) -> Result<Entry, String> {
    let (user, hash) = line
        .split_once(':')
        .filter(|(user, _)| !user.is_empty())
        .ok_or("it is not USER:HASH")?;
    Ok(Entry {
        user: user.to_owned(),
        hash: Hash::parse(hash)?,
    })
}

impl Hash {
    fn parse(text: &str) -> Result<Self, String> {
        let scheme = text
            .strip_prefix('$')
            .and_then(|rest| rest.split_once('$'))
            .map(|(scheme, _)| scheme);
        match scheme {
            Some("2a" | "2b" | "2y") => bcrypt(text),
            Some("5") => sha_crypt(text, 43),
            Some("6") => sha_crypt(text, 86),
            Some("argon2id") => argon2id(text),
            Some("apr1" | "1") => Err(weak("an MD5 hash")),
            _ if text.starts_with("{SHA}") => Err(weak("an unsalted SHA-1 hash")),
            Some(_) => Err(weak("a hash of another kind")),
            None => Err(weak("a crypt(3) hash or a plain password")),
        }
    }

    /// Whether it is this password's; takes long on purpose.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::ShaCrypt(hash) => ShaCrypt::SHA512
                .verify_password(password, hash.as_str())
                .is_ok(),
            Self::Argon2(hash) => Argon2::default()
                .verify_password(password, hash.as_ref())
                .is_ok(),
        }
    }

    /// What tells this hash from the one that the next password will have.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Bcrypt(hash) | Self::ShaCrypt(hash) => hash.clone(),
            Self::Argon2(hash) => hash.to_string(),
        }
    }
}

fn weak(what: &str) -> String {
    format!("{what} is not accepted: make one with 'htpasswd -B' or 'mkpasswd -m sha-512'")
}

fn too_costly() -> String {
    "this hash takes too long to compute for each log-in".to_owned()
}

fn is_base64(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}

fn bcrypt(text: &str) -> Result<Hash, String> {
    let cost = text
        .parse()
        .map(|parts: bcrypt::HashParts| parts.get_cost());
    match cost {
        Ok(4..=limits::BCRYPT_COST) => Ok(Hash::Bcrypt(text.to_owned())),
        Ok(..4) | Err(_) => Err("the bcrypt hash is incomplete".to_owned()),
        Ok(_) => Err(too_costly()),
    }
}

fn sha_crypt(text: &str, length: usize) -> Result<Hash, String> {
    let malformed = || "the SHA-crypt hash is incomplete".to_owned();
    let mut parts: Vec<&str> = text.split('$').skip(2).collect();
    if let Some(rounds) = parts.first().and_then(|it| it.strip_prefix("rounds=")) {
        match rounds.parse::<u32>() {
            Ok(..sha_crypt::Params::ROUNDS_MIN) | Err(_) => return Err(malformed()),
            Ok(..=limits::SHA_CRYPT_ROUNDS) => parts.remove(0),
            Ok(_) => return Err(too_costly()),
        };
    }
    match parts.as_slice() {
        [salt, hash] if salt.len() <= 16 && hash.len() == length && is_base64(hash) => {
            Ok(Hash::ShaCrypt(text.to_owned()))
        }
        _ => Err(malformed()),
    }
}

fn argon2id(text: &str) -> Result<Hash, String> {
    let malformed = || "the argon2 hash is incomplete".to_owned();
    let hash = PasswordHash::new(text).map_err(|_| malformed())?;
    let params = argon2::Params::try_from(&hash).map_err(|_| malformed())?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(malformed());
    }
    if params.m_cost() > limits::ARGON2_MEMORY || params.t_cost() > limits::ARGON2_PASSES {
        return Err(too_costly());
    }
    Ok(Hash::Argon2(Box::new(hash)))
}

#[cfg(test)]
mod tests;
