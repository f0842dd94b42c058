//! Certificates and keys on disk: found, read, matched and judged before anybody relies on them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Ref};

use super::Options;
use crate::limits;
use crate::log::Event;
use crate::systemd::credentials;

/// What certbot calls a certificate with its chain, and its key.
const LINEAGE: [&str; 2] = ["fullchain.pem", "privkey.pem"];

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// A file with the certificate and its chain, or a directory.
    pub certificate: PathBuf,
    /// The file of the key; the certificate's unless given.
    pub key: Option<PathBuf>,
}

/// The password of an encrypted key. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Given as it is.
    Text(String),
    /// The first line of a file, read anew at each reload.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A certificate that can be used: its key fits and it is valid today.
#[derive(Debug)]
pub struct Certificate {
    /// Where it was found.
    pub path: PathBuf,
    /// The end certificate first, as it is sent.
    pub chain: Vec<X509>,
    /// Its key.
    pub key: PKey<Private>,
    /// The host names it is for, in lower case.
    pub names: Vec<String>,
}

/// Reads everything that the options name, in their order.
///
/// # Errors
/// One sentence that names the file and what to do.
pub fn load(options: &Options) -> Result<Vec<Certificate>, String> {
    let password = options.password.as_ref().map(Password::read).transpose()?;
    let mut loaded = Vec::new();
    for pair in pairs(&options.certificates)? {
        loaded.push(Certificate::load(&pair, password.as_deref())?);
    }
    Ok(loaded)
}

/// Every file that matters to [`load`] now.
pub(super) fn files(given: &[Pair], password: Option<&Password>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = given.iter().map(|pair| pair.certificate.clone()).collect();
    for pair in pairs(given).unwrap_or_default() {
        files.push(pair.certificate);
        files.extend(pair.key);
    }
    if let Some(Password::File(path)) = password {
        files.push(path.clone());
    }
    files
}

/// Replaces directories by the pairs in them: `fullchain.pem` with `privkey.pem`, as certbot names
/// them, in the directory or in those beneath it; or any `NAME.pem` or `NAME.crt`, with its key
/// in `NAME.key` or inside.
fn pairs(given: &[Pair]) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    for pair in given {
        let directory = &pair.certificate;
        let mut files = credentials::beneath(directory);
        if files.is_empty() {
            if !directory.is_dir() {
                pairs.push(pair.clone());
                continue;
            }
            files = in_directory(directory)
                .map_err(|error| format!("--cert {}: {error}", directory.display()))?;
        }
        let found = matched(directory, &files);
        if found.is_empty() {
            return Err(format!(
                "--cert {}: no certificate in it",
                directory.display()
            ));
        }
        pairs.extend(found);
    }
    Ok(pairs)
}

/// The files of a directory that [`pairs`] looks at, by name.
///
/// # Errors
/// The kernel's.
pub fn in_directory(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            let lineage = LINEAGE.iter().map(|name| path.join(name));
            files.extend(lineage.filter(|file| file.is_file()));
        } else if path
            .extension()
            .is_some_and(|it| ["pem", "crt", "key"].iter().any(|known| it == *known))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn matched(directory: &Path, files: &[PathBuf]) -> Vec<Pair> {
    let there = |path: PathBuf| Some(path).filter(|path| files.contains(path));
    let lineage = |folder: &Path| {
        let [certificate, key] = LINEAGE.map(|name| folder.join(name));
        there(certificate).map(|certificate| Pair {
            certificate,
            key: Some(key),
        })
    };
    if let Some(pair) = lineage(directory) {
        return vec![pair];
    }
    let pair = |file: &PathBuf| {
        if file.parent() != Some(directory) {
            let is_certificate = file.ends_with(LINEAGE[0]);
            return file.parent().filter(|_| is_certificate).and_then(lineage);
        }
        let is_key = file.extension().is_some_and(|it| it == "key");
        (!is_key).then(|| Pair {
            certificate: file.clone(),
            key: there(file.with_extension("key")),
        })
    };
    files.iter().filter_map(pair).collect()
}

impl Password {
    /// The password itself.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub(super) fn read(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                let text = fs::read_to_string(credentials::located(path))
                    .map_err(|error| format!("--key-password-file {}: {error}", path.display()))?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
        }
    }
}

impl Certificate {
    /// Reads a pair and judges it.
    ///
    /// # Errors
    /// One sentence that names the file and what to do.
    pub fn load(pair: &Pair, password: Option<&str>) -> Result<Self, String> {
        let path = pair.certificate.display();
        let pem = read(&pair.certificate, "--cert")?;
        let chain = X509::stack_from_pem(&pem)
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| format!("--cert {path}: no certificate in PEM form in it"))?;
        let key_path = pair.key.as_ref().unwrap_or(&pair.certificate);
        let key = read_key(key_path, password)?;
        let certificate = Self {
            path: pair.certificate.clone(),
            names: names(&chain[0]),
            chain,
            key,
        };
        certificate
            .judge()
            .map_err(|fault| format!("--cert {path}: {fault}"))?;
        Ok(certificate)
    }

    fn judge(&self) -> Result<(), String> {
        let certificate = &self.chain[0];
        let matches = certificate
            .public_key()
            .is_ok_and(|public| public.public_eq(&self.key));
        if !matches {
            return Err("the key does not belong to the certificate".to_owned());
        }
        let now = Asn1Time::days_from_now(0).map_err(|error| error.to_string())?;
        let soon =
            Asn1Time::days_from_now(limits::CERTIFICATE_DAYS).map_err(|error| error.to_string())?;
        if certificate.not_after() < now {
            return Err(format!(
                "it expired on {}: renew it",
                certificate.not_after()
            ));
        }
        if certificate.not_before() > now {
            return Err(format!(
                "it is not valid before {}: check this machine's clock",
                certificate.not_before()
            ));
        }
        if certificate.not_after() < soon {
            log::warn!(
                event = Event::Expires, names:% = self.names.join(" ");
                "the certificate of {} expires on {}",
                self.names.join(", "),
                certificate.not_after()
            );
        }
        Ok(())
    }

    /// Its names, and when it ends in seconds since 1970.
    ///
    /// # Errors
    /// OpenSSL's.
    pub fn expiry(&self) -> Result<(String, i64), ErrorStack> {
        let left = Asn1Time::from_unix(0)?.diff(self.chain[0].not_after())?;
        let seconds = i64::from(left.days) * 86_400 + i64::from(left.secs);
        Ok((self.names.join(","), seconds))
    }

    /// Whether it is for `host`; a `*` stands for one label (RFC 6125, 6.4.3).
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => *name == host,
        })
    }
}

/// Reads a private key.
///
/// # Errors
/// One sentence; the password is not in it.
pub fn read_key(path: &Path, password: Option<&str>) -> Result<PKey<Private>, String> {
    let pem = read(path, "--key")?;
    let mut asked = false;
    let key = PKey::private_key_from_pem_callback(&pem, |room| {
        asked = true;
        // Without a password OpenSSL would ask on the terminal.
        let password = password.unwrap_or_default().as_bytes();
        let Some(room) = room.get_mut(..password.len()) else {
            return Ok(0);
        };
        room.copy_from_slice(password);
        Ok(password.len())
    });
    key.map_err(|_| {
        let path = path.display();
        match (asked, password) {
            (true, None) => format!("--key {path}: it is encrypted; give --key-password-file"),
            (true, Some(_)) => format!("--key {path}: the password does not open it"),
            (false, _) => format!("--key {path}: no private key in PEM form in it"),
        }
    })
}

/// Reads a file that an option names.
pub(super) fn read(path: &Path, option: &str) -> Result<Vec<u8>, String> {
    fs::read(credentials::located(path))
        .map_err(|error| format!("{option} {}: {error}", path.display()))
}

/// The host names of a certificate: its DNS names, or its common names where it has none.
fn names(certificate: &X509Ref) -> Vec<String> {
    let mut names: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .flatten()
        .filter_map(|name| name.dnsname().map(str::to_ascii_lowercase))
        .collect();
    if names.is_empty() {
        names = certificate
            .subject_name()
            .entries_by_nid(Nid::COMMONNAME)
            .filter_map(|entry| entry.data().to_string().ok())
            .map(|name| name.to_ascii_lowercase())
            .collect();
    }
    names
}
