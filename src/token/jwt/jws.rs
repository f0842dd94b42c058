//! Signatures of tokens (RFC 7515 and 7518, 3; RFC 8037, 3.1).

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};

use super::Reason;
use super::compact::Signed;
use super::key::Key;

const NOT_OURS: Reason = "it is not signed in a way that goes with the key";
const WRONG: Reason = "its signature is wrong";

/// Returns the payload of a token whose signature is right.
pub(super) fn verify(token: Signed<'_>, key: &Key) -> Result<Vec<u8>, Reason> {
    let algorithm = token.header.text("alg").ok_or("its header has no alg")?;
    let (message, signature) = (token.signed, token.signature.as_slice());
    let right = match key {
        Key::Secret(secret) => {
            let digest = digest(algorithm, "HS").ok_or(NOT_OURS)?;
            // RFC 7518, 3.2.
            if secret.len() < digest.size() {
                return Err("the key is shorter than its hash");
            }
            mac(secret, digest, message).map(|it| same(&it, signature))
        }
        Key::Pair { public, .. } => match public.id() {
            Id::RSA => rsa(public, algorithm, message, signature)?,
            Id::EC => ecdsa(public, algorithm, message, signature)?,
            _ if algorithm == "EdDSA" => Verifier::new_without_digest(public)
                .and_then(|mut it| it.verify_oneshot(signature, message)),
            _ => return Err(NOT_OURS),
        },
    };
    // A signature that OpenSSL cannot even read is an error to it, and leaves nothing behind here.
    if right.unwrap_or(false) {
        Ok(token.payload)
    } else {
        Err(WRONG)
    }
}

/// The hash of an algorithm of this family, by the number in its name.
fn digest(algorithm: &str, family: &str) -> Option<MessageDigest> {
    match algorithm.strip_prefix(family)? {
        "256" => Some(MessageDigest::sha256()),
        "384" => Some(MessageDigest::sha384()),
        "512" => Some(MessageDigest::sha512()),
        _ => None,
    }
}

/// HMAC.
pub(super) fn mac(
    secret: &[u8],
    digest: MessageDigest,
    message: &[u8],
) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(secret)?;
    let mut signer = Signer::new(digest, &key)?;
    signer.update(message)?;
    signer.sign_to_vec()
}

/// Compares in a time that tells nothing.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && memcmp::eq(left, right)
}

fn rsa(
    key: &PKeyRef<Public>,
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<Result<bool, ErrorStack>, Reason> {
    let (digest, pss) = match (digest(algorithm, "RS"), digest(algorithm, "PS")) {
        (Some(digest), _) => (digest, false),
        (None, Some(digest)) => (digest, true),
        (None, None) => return Err(NOT_OURS),
    };
    let verify = || {
        let mut verifier = Verifier::new(digest, key)?;
        if pss {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
            verifier.set_rsa_mgf1_md(digest)?;
        }
        verifier.verify_oneshot(signature, message)
    };
    Ok(verify())
}

fn ecdsa(
    key: &PKeyRef<Public>,
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<Result<bool, ErrorStack>, Reason> {
    let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
    let (digest, size) = match (curve, algorithm) {
        (Some(Nid::X9_62_PRIME256V1), "ES256") | (Some(Nid::SECP256K1), "ES256K") => {
            (MessageDigest::sha256(), 32)
        }
        (Some(Nid::SECP384R1), "ES384") => (MessageDigest::sha384(), 48),
        (Some(Nid::SECP521R1), "ES512") => (MessageDigest::sha512(), 66),
        _ => return Err(NOT_OURS),
    };
    let Some((r, s)) = signature
        .split_at_checked(size)
        .filter(|(_, s)| s.len() == size)
    else {
        return Err(WRONG);
    };
    let verify = || {
        let (r, s) = (BigNum::from_slice(r)?, BigNum::from_slice(s)?);
        let signature = EcdsaSig::from_private_components(r, s)?.to_der()?;
        Verifier::new(digest, key)?.verify_oneshot(&signature, message)
    };
    Ok(verify())
}
