//! A keyed hash with a key that nobody knows and no restart survives.

use std::fmt;
use std::hash::{Hash, Hasher};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

/// The key: 32 random bytes of this process.
pub(super) struct Seal(PKey<Private>);

/// What the key makes of a text. Two of them are equal or not in constant time.
#[derive(Clone, Copy, Debug, Eq)]
pub(super) struct Sealed([u8; 32]);

impl Seal {
    pub(super) fn random() -> Result<Self, ErrorStack> {
        let mut key = [0; 32];
        rand_bytes(&mut key)?;
        PKey::hmac(&key).map(Self)
    }

    /// Seals texts, each with its length, so that no two lists of texts are the same.
    pub(super) fn seal(&self, texts: &[&[u8]]) -> Result<Sealed, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0)?;
        for text in texts {
            signer.update(&text.len().to_be_bytes())?;
            signer.update(text)?;
        }
        let mut sealed = [0; 32];
        signer.sign(&mut sealed)?;
        Ok(Sealed(sealed))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Sealed {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Hash for Sealed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Sealed {
    fn eq(&self, other: &Self) -> bool {
        memcmp::eq(&self.0, &other.0)
    }
}

impl PartialEq<[u8]> for Sealed {
    fn eq(&self, other: &[u8]) -> bool {
        // The length of a seal is no secret.
        other.len() == self.0.len() && memcmp::eq(&self.0, other)
    }
}
