//! What the kernel needs to go on with a connection's TLS where OpenSSL stops: keys, derived as both
//! RFCs say from secrets that OpenSSL tells, and the number of the next record each way.
//!
//! A number that was used before would give away what two records have in common, so nothing here is
//! guessed: a connection of which something is not known stays OpenSSL's.

use std::io;
use std::sync::OnceLock;

use nix::libc;
use nix::sys::socket::sockopt::TlsCryptoInfo;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslVersion};
use zeroize::{Zeroize, Zeroizing};

use super::records::{Passed, Records};

/// Why a connection's TLS stays OpenSSL's.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Nobody has watched the connection.
    #[error("there is no TLS in this kernel")]
    Absent,
    /// It is of another kind than the kernel does.
    #[error("the kernel does no TLS of this kind")]
    Kind,
    /// It is not over TCP.
    #[error("the kernel does TLS over TCP alone")]
    Socket,
    /// Something is under way, or not everything that came is known to be payload.
    #[error("TLS is not at rest")]
    Unsettled,
    /// OpenSSL does not tell.
    #[error("its keys are not known")]
    Unknown,
    /// The kernel does not take it.
    #[error("the kernel does not do its TLS: {0}")]
    Refused(#[from] io::Error),
}

impl From<ErrorStack> for Unfit {
    fn from(_: ErrorStack) -> Self {
        Self::Unknown
    }
}

/// What is wiped when it is let go of: whoever reads our memory later finds none of it here. A session of
/// TLS 1.2 that was given a ticket can still be read by the key to our tickets, which OpenSSL has.
type Secret = Zeroizing<Vec<u8>>;

/// What TLS 1.3 encrypts payload by (RFC 8446, 7.1), as it is told while the handshake goes on.
#[derive(Default)]
struct Secrets {
    client: OnceLock<Secret>,
    server: OnceLock<Secret>,
}

/// Has a context's connections remember their secrets, if they are [`watched`](watch).
pub(super) fn remember(builder: &mut SslContextBuilder) {
    builder.set_keylog_callback(|ssl, line| {
        let Some(secrets) = index().ok().and_then(|index| ssl.ex_data(index)) else {
            return;
        };
        // LABEL, what the client chose at random, the secret: RFC 9850.
        let mut words = line.split(' ');
        let room = match words.next() {
            Some("CLIENT_TRAFFIC_SECRET_0") => &secrets.client,
            Some("SERVER_TRAFFIC_SECRET_0") => &secrets.server,
            _ => return,
        };
        if let Some(secret) = words.nth(1).and_then(from_hex) {
            let _ = room.set(secret);
        }
    });
}

/// Has a connection remember them.
pub(super) fn watch(ssl: &mut Ssl) -> Result<(), ErrorStack> {
    ssl.set_ex_data(index()?, Secrets::default());
    Ok(())
}

fn index() -> Result<Index<Ssl, Secrets>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, Secrets>> = OnceLock::new();
    match INDEX.get() {
        Some(index) => Ok(*index),
        None => {
            let index = Ssl::new_ex_index()?;
            Ok(*INDEX.get_or_init(|| index))
        }
    }
}

/// What the kernel does from now on.
pub struct Keys {
    pub(super) send: TlsCryptoInfo,
    pub(super) receive: TlsCryptoInfo,
}

impl Drop for Keys {
    fn drop(&mut self) {
        for info in [&mut self.send, &mut self.receive] {
            let secret: [&mut [u8]; 3] = match info {
                TlsCryptoInfo::Aes128Gcm(it) => [&mut it.key, &mut it.salt, &mut it.iv],
                TlsCryptoInfo::Aes256Gcm(it) => [&mut it.key, &mut it.salt, &mut it.iv],
                TlsCryptoInfo::Chacha20Poly1305(it) => [&mut it.key, &mut it.salt, &mut it.iv],
            };
            secret.into_iter().for_each(Zeroize::zeroize);
        }
    }
}

/// Where OpenSSL is with a connection whose handshake is over; it must not go on with it.
///
/// # Errors
/// That the kernel could not go on from there.
pub(super) fn of(ssl: &SslRef, records: &Records) -> Result<Keys, Unfit> {
    let cipher = ssl.current_cipher().ok_or(Unfit::Unknown)?;
    let kind = match cipher.cipher_nid() {
        Some(Nid::AES_128_GCM) => Kind::Aes128Gcm,
        Some(Nid::AES_256_GCM) => Kind::Aes256Gcm,
        Some(Nid::CHACHA20_POLY1305) => Kind::ChaCha20Poly1305,
        _ => return Err(Unfit::Kind),
    };
    let digest = cipher.handshake_digest().ok_or(Unfit::Unknown)?;
    let version = match ssl.version2() {
        Some(SslVersion::TLS1_3) => Version::Tls13,
        Some(SslVersion::TLS1_2) => Version::Tls12,
        _ => return Err(Unfit::Kind),
    };
    if ssl.pending() > 0 || !records.is_settled(version.overhead(kind)) {
        return Err(Unfit::Unsettled);
    }
    let [client, server] = match version {
        Version::Tls13 => by_version_1_3(ssl, kind, digest)?,
        Version::Tls12 => by_version_1_2(ssl, kind, digest)?,
    };
    let (ours, theirs) = if ssl.is_server() {
        (server, client)
    } else {
        (client, server)
    };
    Ok(Keys {
        send: ours.info(version, kind, &records.sent),
        receive: theirs.info(version, kind, &records.received),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Tls12,
    Tls13,
}

impl Version {
    /// What a record has beside its payload: a tag, the payload's type in TLS 1.3, and in TLS 1.2 with
    /// AES-GCM a part of the nonce.
    fn overhead(self, kind: Kind) -> u64 {
        match (self, kind) {
            (Self::Tls13, _) => 16 + 1,
            (Self::Tls12, Kind::ChaCha20Poly1305) => 16,
            (Self::Tls12, _) => 16 + 8,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Kind {
    fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }
}

/// A direction's key, and what its nonces are made of.
struct Key {
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; 12]>,
}

impl Key {
    /// `key` and `iv` are as long as theirs are.
    fn new(key: &[u8], iv: &[u8]) -> Self {
        let mut made = Self {
            key: [0; 32].into(),
            iv: [0; 12].into(),
        };
        made.key[..key.len()].copy_from_slice(key);
        made.iv[..iv.len()].copy_from_slice(iv);
        made
    }

    fn info(mut self, version: Version, kind: Kind, passed: &Passed) -> TlsCryptoInfo {
        if version == Version::Tls12 && kind != Kind::ChaCha20Poly1305 {
            // OpenSSL counts on from where it has begun at random, and says so in each record.
            let next = u64::from_be_bytes(passed.nonce).wrapping_add(1);
            self.iv[4..].copy_from_slice(&next.to_be_bytes());
        }
        let info = |cipher_type| libc::tls_crypto_info {
            version: match version {
                Version::Tls12 => libc::TLS_1_2_VERSION,
                Version::Tls13 => libc::TLS_1_3_VERSION,
            },
            cipher_type,
        };
        let rec_seq = passed.count.to_be_bytes();
        let [s0, s1, s2, s3, iv @ ..] = *self.iv;
        let salt = [s0, s1, s2, s3];
        match kind {
            Kind::Aes128Gcm => {
                let (mut key, half) = ([0; 16], &self.key[..16]);
                key.copy_from_slice(half);
                TlsCryptoInfo::Aes128Gcm(libc::tls12_crypto_info_aes_gcm_128 {
                    info: info(libc::TLS_CIPHER_AES_GCM_128),
                    iv,
                    key,
                    salt,
                    rec_seq,
                })
            }
            Kind::Aes256Gcm => TlsCryptoInfo::Aes256Gcm(libc::tls12_crypto_info_aes_gcm_256 {
                info: info(libc::TLS_CIPHER_AES_GCM_256),
                iv,
                key: *self.key,
                salt,
                rec_seq,
            }),
            Kind::ChaCha20Poly1305 => {
                TlsCryptoInfo::Chacha20Poly1305(libc::tls12_crypto_info_chacha20_poly1305 {
                    info: info(libc::TLS_CIPHER_CHACHA20_POLY1305),
                    iv: *self.iv,
                    key: *self.key,
                    salt: [],
                    rec_seq,
                })
            }
        }
    }
}

/// The client's key and the server's: RFC 8446, 7.3.
fn by_version_1_3(ssl: &SslRef, kind: Kind, digest: MessageDigest) -> Result<[Key; 2], Unfit> {
    let secrets = ssl.ex_data(index()?).ok_or(Unfit::Unknown)?;
    let key = |secret: &OnceLock<Secret>| {
        let secret = secret.get().ok_or(Unfit::Unknown)?;
        let key = expand_label(digest, secret, "key", kind.key_len())?;
        Ok::<_, Unfit>(Key::new(&key, &expand_label(digest, secret, "iv", 12)?))
    };
    Ok([key(&secrets.client)?, key(&secrets.server)?])
}

/// HKDF-Expand-Label without a context (RFC 8446, 7.1), of no more than one block (RFC 5869, 2.3).
fn expand_label(
    digest: MessageDigest,
    secret: &[u8],
    label: &str,
    length: usize,
) -> Result<Secret, Unfit> {
    let label = format!("tls13 {label}");
    let sizes = (u16::try_from(length), u8::try_from(label.len()));
    let (Ok(size), Ok(label_size)) = sizes else {
        return Err(Unfit::Unknown);
    };
    let size = size.to_be_bytes();
    let mut block = hmac(
        digest,
        secret,
        &[&size, &[label_size], label.as_bytes(), &[0, 1]],
    )?;
    block.truncate(length);
    (block.len() == length)
        .then_some(block)
        .ok_or(Unfit::Unknown)
}

/// The client's key and the server's: RFC 5246, 6.3, where ciphers of this kind have no MAC's key.
fn by_version_1_2(ssl: &SslRef, kind: Kind, digest: MessageDigest) -> Result<[Key; 2], Unfit> {
    let mut master = Zeroizing::new([0; 48]);
    let session = ssl.session().ok_or(Unfit::Unknown)?;
    if session.master_key(&mut *master) != master.len() {
        return Err(Unfit::Unknown);
    }
    let (mut client, mut server) = ([0; 32], [0; 32]);
    if ssl.client_random(&mut client) != 32 || ssl.server_random(&mut server) != 32 {
        return Err(Unfit::Unknown);
    }
    let seed = [&b"key expansion"[..], &server, &client].concat();
    let iv_len = match kind {
        Kind::ChaCha20Poly1305 => 12,
        Kind::Aes128Gcm | Kind::Aes256Gcm => 4,
    };
    let block = pseudo_random(digest, &*master, &seed, 2 * (kind.key_len() + iv_len))?;
    let (keys, ivs) = block.split_at(2 * kind.key_len());
    let (client_key, server_key) = keys.split_at(kind.key_len());
    let (client_iv, server_iv) = ivs.split_at(iv_len);
    Ok([
        Key::new(client_key, client_iv),
        Key::new(server_key, server_iv),
    ])
}

/// The PRF of RFC 5246, 5, with the label at the begin of its seed.
fn pseudo_random(
    digest: MessageDigest,
    secret: &[u8],
    seed: &[u8],
    length: usize,
) -> Result<Secret, ErrorStack> {
    // With room for the last block: what has to grow leaves a copy behind.
    let mut made = Zeroizing::new(Vec::with_capacity(length + digest.size()));
    let mut a = hmac(digest, secret, &[seed])?;
    while made.len() < length {
        made.extend_from_slice(&hmac(digest, secret, &[&a, seed])?);
        a = hmac(digest, secret, &[&a])?;
    }
    made.truncate(length);
    Ok(made)
}

fn hmac(digest: MessageDigest, key: &[u8], pieces: &[&[u8]]) -> Result<Secret, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(digest, &key)?;
    for piece in pieces {
        signer.update(piece)?;
    }
    signer.sign_to_vec().map(Zeroizing::new)
}

fn from_hex(text: &str) -> Option<Secret> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks(2) {
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
    }
    Some(bytes)
}
