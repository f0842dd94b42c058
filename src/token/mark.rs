//! What a token is called where it may not be shown.

use std::fmt;

use openssl::sha::sha256;
use serde::{Deserialize, Serialize};

/// The first 64 bits of a token's SHA-256 in hexadecimal digits: the same on every instance of a
/// fleet, and what `printf %s TOKEN | sha256sum` begins with. Not for logs: a token that can be
/// guessed can be found again by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark([u8; 8]);

impl Mark {
    /// The mark of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let mut mark = [0; 8];
        mark.copy_from_slice(&sha256(token.as_bytes())[..8]);
        Self(mark)
    }

    /// Reads 16 hexadecimal digits, or a whole SHA-256.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let whole = matches!(text.len(), 16 | 64);
        let digits = whole && text.bytes().all(|it| it.is_ascii_hexdigit());
        let first = text.get(..16).filter(|_| digits)?;
        let number = u64::from_str_radix(first, 16).ok()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    /// `printf %s abc | sha256sum`
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn what_sha256sum_says() {
        let mark = Mark::of("abc");
        assert_eq!(mark.to_string(), ABC[..16]);
        for text in [ABC, &ABC[..16], &ABC.to_uppercase()] {
            assert_eq!(Mark::parse(text), Some(mark));
        }
        for text in ["", "abc", &ABC[..15], &ABC[..17], "+a7816bf8f01cfea"] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
