//! The key that tokens are signed and encrypted with, from its file.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::x509::X509;

use crate::limits;

/// A key. What a token may be signed with follows from its kind alone, and never from what the
/// token says: a public key is no secret to make a MAC with (RFC 8725, 3.1).
pub(super) enum Key {
    /// Shared with whoever makes the tokens.
    Secret(Vec<u8>),
    /// Of RSA, an elliptic curve, or Ed25519 and Ed448; the private half only decrypts.
    Pair {
        public: PKey<Public>,
        private: Option<PKey<Private>>,
    },
}

/// Old base64 for URLs may be padded; websockify's users have both.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Key {
    /// Reads a file's content as websockify does: a PEM with a key or a certificate, or else the
    /// base64url text of a secret.
    ///
    /// # Errors
    /// One sentence without the content.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        if content.windows(11).any(|it| it == b"-----BEGIN ") {
            return Self::from_pem(content);
        }
        let secret = BASE64URL.decode(content.trim_ascii()).map_err(|_| {
            "it is neither a PEM nor base64url, as \
             `openssl rand -base64 48 | tr +/ -_` makes a secret"
        })?;
        if secret.len() < limits::JWT_SECRET {
            return Err(format!(
                "its secret is {} bytes long, and must have {} at least",
                secret.len(),
                limits::JWT_SECRET
            ));
        }
        Ok(Self::Secret(secret))
    }

    fn from_pem(pem: &[u8]) -> Result<Self, String> {
        // Without a password OpenSSL would ask for one on the terminal.
        let mut encrypted = false;
        let private = PKey::private_key_from_pem_callback(pem, |_| {
            encrypted = true;
            Ok(0)
        });
        let private = private.ok();
        // It would ask here, too.
        if encrypted {
            return Err("its key is encrypted, which cannot be used here".into());
        }
        let public = match &private {
            Some(private) => private
                .public_key_to_der()
                .and_then(|der| PKey::public_key_from_der(&der)),
            None => PKey::public_key_from_pem(pem)
                .or_else(|_| X509::from_pem(pem).and_then(|it| it.public_key())),
        };
        let public = public.map_err(|_| "it holds no key or certificate that can be read")?;
        match public.id() {
            Id::RSA if public.bits() < limits::JWT_RSA_BITS => {
                return Err(format!(
                    "its RSA key has {} bits, and must have {} at least",
                    public.bits(),
                    limits::JWT_RSA_BITS
                ));
            }
            Id::RSA | Id::EC | Id::ED25519 | Id::ED448 => {}
            _ => return Err("its key is not of RSA, EC, Ed25519 or Ed448".into()),
        }
        Ok(Self::Pair { public, private })
    }
}

#[cfg(test)]
mod tests {
    use openssl::dsa::Dsa;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;
    use proptest::prelude::{any, prop, proptest};

    use super::Key;

    #[test]
    fn secrets() {
        let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for file in [text, &format!("{text}=\n"), &format!(" {text}\r\n")] {
            let Ok(Key::Secret(secret)) = Key::parse(file.as_bytes()) else {
                panic!("{file}")
            };
            assert_eq!(secret, (0..32).collect::<Vec<u8>>());
        }
        for (file, part) in [
            ("", "0 bytes"),
            ("secret_sauce", "9 bytes long"),
            ("not base64 at all!", "neither a PEM nor base64url"),
        ] {
            let error = Key::parse(file.as_bytes()).err().unwrap();
            assert!(error.contains(part), "{error}");
            assert!(file.is_empty() || !error.contains(file));
        }
    }

    #[test]
    fn what_is_no_key_for_tokens() {
        let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        let short = rsa(1024).private_key_to_pem_pkcs8().unwrap();
        let encrypted = rsa(2048)
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret")
            .unwrap();
        let dsa = Dsa::generate(1024).unwrap();
        let dsa = PKey::from_dsa(dsa).unwrap().public_key_to_pem().unwrap();
        let garbage = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_vec();
        for (pem, part) in [
            (short, "has 1024 bits"),
            (encrypted, "key is encrypted"),
            (dsa, "not of RSA, EC"),
            (garbage, "no key or certificate"),
        ] {
            let error = Key::parse(&pem).err().unwrap();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Key::parse(&content);
            let _ = Key::parse(&[b"-----BEGIN PUBLIC KEY-----\n", content.as_slice()].concat());
        }
    }
}
