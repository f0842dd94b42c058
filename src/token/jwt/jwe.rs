//! Encryption of tokens (RFC 7516 and 7518, 4 and 5). Left out is what makes whoever holds no key
//! cost us much, or tell apart what it must not: PBES2 and RSA1_5.

use openssl::bn::{BigNum, BigNumContext};
use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sha::Sha256;
use openssl::symm;

use super::Reason;
use super::compact::{Encrypted, Header};
use super::jws::{mac, same};
use super::key::Key;

const NOT_OURS: Reason = "it is not encrypted in a way that goes with the key";
const WRONG: Reason = "it cannot be decrypted with the key";

/// Returns the text of a token that was encrypted for `key`.
pub(super) fn decrypt(token: &Encrypted<'_>, key: &Key) -> Result<Vec<u8>, Reason> {
    let header = &token.header;
    let algorithm = header.text("alg").ok_or("its header has no alg")?;
    let content = header.text("enc").and_then(Content::named);
    let content = content.ok_or("its enc is unknown")?;
    let content_key = match key {
        Key::Secret(secret) => with_secret(secret, algorithm, token)?,
        Key::Pair { private: None, .. } => {
            return Err("it is encrypted, and the key is a public one");
        }
        Key::Pair {
            private: Some(private),
            ..
        } => match private.id() {
            Id::RSA => with_rsa(private, algorithm, &token.key)?,
            Id::EC => with_ec(private, algorithm, &content, token)?,
            _ => return Err(NOT_OURS),
        },
    };
    content.decrypt(&content_key, token)
}

/// How a token's text is encrypted.
struct Content {
    name: &'static str,
    key: usize,
    kind: Kind,
}

enum Kind {
    Gcm(symm::Cipher),
    CbcHmac(symm::Cipher, MessageDigest),
}

/// OpenSSL takes shorter ones, which would be easy to guess.
const GCM_TAG: usize = 16;
const GCM_IV: usize = 12;

impl Content {
    fn named(name: &str) -> Option<Self> {
        use symm::Cipher;
        let cbc = |cipher, digest| Kind::CbcHmac(cipher, digest);
        let (name, key, kind) = match name {
            "A128GCM" => ("A128GCM", 16, Kind::Gcm(Cipher::aes_128_gcm())),
            "A192GCM" => ("A192GCM", 24, Kind::Gcm(Cipher::aes_192_gcm())),
            "A256GCM" => ("A256GCM", 32, Kind::Gcm(Cipher::aes_256_gcm())),
            "A128CBC-HS256" => (
                "A128CBC-HS256",
                32,
                cbc(Cipher::aes_128_cbc(), MessageDigest::sha256()),
            ),
            "A192CBC-HS384" => (
                "A192CBC-HS384",
                48,
                cbc(Cipher::aes_192_cbc(), MessageDigest::sha384()),
            ),
            "A256CBC-HS512" => (
                "A256CBC-HS512",
                64,
                cbc(Cipher::aes_256_cbc(), MessageDigest::sha512()),
            ),
            _ => return None,
        };
        Some(Self { name, key, kind })
    }

    fn decrypt(&self, key: &[u8], token: &Encrypted<'_>) -> Result<Vec<u8>, Reason> {
        let Encrypted {
            beside,
            iv,
            ciphertext,
            tag,
            ..
        } = token;
        if key.len() != self.key {
            return Err(WRONG);
        }
        let decrypted = match &self.kind {
            Kind::Gcm(cipher) => {
                if (iv.len(), tag.len()) != (GCM_IV, GCM_TAG) {
                    return Err(WRONG);
                }
                symm::decrypt_aead(*cipher, key, Some(iv), beside, ciphertext, tag)
            }
            // RFC 7518, 5.2: one half of the key is for the MAC, which is asked first.
            Kind::CbcHmac(cipher, digest) => {
                let (mac_key, key) = key.split_at(self.key / 2);
                let bits = u64::try_from(beside.len() * 8).unwrap_or(u64::MAX);
                let authentic = [beside, iv.as_slice(), ciphertext, &bits.to_be_bytes()].concat();
                let mac = mac(mac_key, *digest, &authentic).map_err(|_| WRONG)?;
                let right = mac.get(..self.key / 2).is_some_and(|it| same(it, tag));
                if !right || Some(iv.len()) != cipher.iv_len() {
                    return Err(WRONG);
                }
                symm::decrypt(*cipher, key, Some(iv), ciphertext)
            }
        };
        decrypted.map_err(|_| WRONG)
    }
}

/// The content key from a shared secret (RFC 7518, 4.4, 4.5 and 4.7). One that is long enough to
/// sign with is too long for the ways with fewer bits.
fn with_secret(secret: &[u8], algorithm: &str, token: &Encrypted<'_>) -> Result<Vec<u8>, Reason> {
    match algorithm {
        "dir" if token.key.is_empty() => Ok(secret.to_owned()),
        "A256KW" => unwrap(algorithm, secret, &token.key),
        "A256GCMKW" => {
            let cipher = symm::Cipher::aes_256_gcm();
            let (iv, tag) = (token.header.bytes("iv")?, token.header.bytes("tag")?);
            let sizes = (secret.len(), iv.len(), tag.len());
            if sizes != (cipher.key_len(), GCM_IV, GCM_TAG) {
                return Err(WRONG);
            }
            symm::decrypt_aead(cipher, secret, Some(&iv), b"", &token.key, &tag).map_err(|_| WRONG)
        }
        _ => Err(NOT_OURS),
    }
}

/// AES key wrap (RFC 3394), named as in RFC 7518, 4.4.
fn unwrap(algorithm: &str, key: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, Reason> {
    let (cipher, size) = key_wrap(algorithm).ok_or(NOT_OURS)?;
    if key.len() != size {
        return Err(WRONG);
    }
    let unwrap = || {
        let mut context = CipherCtx::new()?;
        context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
        context.decrypt_init(Some(cipher), Some(key), None)?;
        let mut unwrapped = Vec::new();
        context.cipher_update_vec(wrapped, &mut unwrapped)?;
        context.cipher_final_vec(&mut unwrapped)?;
        Ok(unwrapped)
    };
    unwrap().map_err(|_: ErrorStack| WRONG)
}

fn key_wrap(algorithm: &str) -> Option<(&'static CipherRef, usize)> {
    match algorithm {
        "A128KW" => Some((Cipher::aes_128_wrap(), 16)),
        "A192KW" => Some((Cipher::aes_192_wrap(), 24)),
        "A256KW" => Some((Cipher::aes_256_wrap(), 32)),
        _ => None,
    }
}

/// RFC 7518, 4.3.
fn with_rsa(key: &PKeyRef<Private>, algorithm: &str, encrypted: &[u8]) -> Result<Vec<u8>, Reason> {
    let digest = match algorithm {
        "RSA-OAEP" => Md::sha1(),
        "RSA-OAEP-256" => Md::sha256(),
        _ => return Err(NOT_OURS),
    };
    let decrypt = || {
        let mut context = PkeyCtx::new(key)?;
        context.decrypt_init()?;
        context.set_rsa_padding(Padding::PKCS1_OAEP)?;
        context.set_rsa_oaep_md(digest)?;
        context.set_rsa_mgf1_md(digest)?;
        let mut decrypted = Vec::new();
        context.decrypt_to_vec(encrypted, &mut decrypted)?;
        Ok(decrypted)
    };
    decrypt().map_err(|_: ErrorStack| WRONG)
}

/// RFC 7518, 4.6: the sender's passing key and our own agree on one.
fn with_ec(
    key: &PKeyRef<Private>,
    algorithm: &str,
    content: &Content,
    token: &Encrypted<'_>,
) -> Result<Vec<u8>, Reason> {
    let (wrap, id, size) = match algorithm.strip_prefix("ECDH-ES") {
        Some("") => (None, content.name, content.key),
        Some(wrap) => {
            let wrap = wrap.strip_prefix('+').ok_or(NOT_OURS)?;
            let (_, size) = key_wrap(wrap).ok_or(NOT_OURS)?;
            (Some(wrap), algorithm, size)
        }
        None => return Err(NOT_OURS),
    };
    let theirs = token.header.inner("epk").ok_or("its header has no epk")?;
    let shared = agree(key, &theirs)?;
    let party = |name| match token.header.text(name) {
        Some(_) => token.header.bytes(name),
        None => Ok(Vec::new()),
    };
    let (apu, apv) = (party("apu")?, party("apv")?);
    let derived = concat_kdf(&shared, size, [id.as_bytes(), &apu, &apv]);
    match wrap {
        Some(wrap) => unwrap(wrap, &derived, &token.key),
        None if token.key.is_empty() => Ok(derived),
        None => Err(WRONG),
    }
}

fn agree(key: &PKeyRef<Private>, theirs: &Header) -> Result<Vec<u8>, Reason> {
    let ours = key.ec_key().map_err(|_| NOT_OURS)?;
    let curve = ours.group().curve_name().ok_or(NOT_OURS)?;
    let name = match curve {
        Nid::X9_62_PRIME256V1 => "P-256",
        Nid::SECP384R1 => "P-384",
        Nid::SECP521R1 => "P-521",
        _ => return Err(NOT_OURS),
    };
    if (theirs.text("kty"), theirs.text("crv")) != (Some("EC"), Some(name)) {
        return Err(NOT_OURS);
    }
    let (x, y) = (theirs.bytes("x")?, theirs.bytes("y")?);
    let agree = || {
        let group = EcGroup::from_curve_name(curve)?;
        let mut context = BigNumContext::new()?;
        let mut point = EcPoint::new(&group)?;
        // OpenSSL refuses what is not on the curve, which would give our key away bit by bit.
        let (x, y) = (BigNum::from_slice(&x)?, BigNum::from_slice(&y)?);
        point.set_affine_coordinates_gfp(&group, &x, &y, &mut context)?;
        let theirs = PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)?;
        let mut context = PkeyCtx::new(key)?;
        context.derive_init()?;
        context.derive_set_peer(&theirs)?;
        let mut shared = Vec::new();
        context.derive_to_vec(&mut shared)?;
        Ok(shared)
    };
    agree().map_err(|_: ErrorStack| WRONG)
}

/// NIST SP 800-56A, 5.8.1, as RFC 7518, 4.6.2 uses it: each text goes in behind its length.
fn concat_kdf(shared: &[u8], size: usize, texts: [&[u8]; 3]) -> Vec<u8> {
    let length = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    let mut derived = Vec::with_capacity(size);
    for round in 1_u32.. {
        if derived.len() >= size {
            break;
        }
        let mut hash = Sha256::new();
        hash.update(&round.to_be_bytes());
        hash.update(shared);
        for text in texts {
            hash.update(&length(text.len()));
            hash.update(text);
        }
        hash.update(&length(size * 8));
        derived.extend(hash.finish());
    }
    derived.truncate(size);
    derived
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::concat_kdf;

    /// RFC 7518, appendix C.
    #[test]
    fn the_example_of_key_agreement() {
        let shared = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49,
            110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let derived = concat_kdf(&shared, 16, [b"A128GCM", b"Alice", b"Bob"]);
        assert_eq!(URL_SAFE_NO_PAD.encode(derived), "VqqN6vgjbSBcIijNcacQGg");
    }
}
