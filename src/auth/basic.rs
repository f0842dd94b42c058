//! `BasicHTTPAuth`: user and password with each request (RFC 7617).

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::cookie::{self, Passes};
use super::seal::{Seal, Sealed};
use super::users::{Source, Users, Verdict};
use super::verdict::Denied;
use super::{Admitted, Visitor, Wants};
use crate::limits;

/// Clients that leave the padding out mean the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The plugin.
#[derive(Debug)]
pub(super) struct Basic {
    source: Source,
    seal: Seal,
    users: RwLock<Arc<Users>>,
    /// For browsers that send no credentials with a WebSocket; only where pages ask for them.
    passes: Option<Passes>,
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Basic {
    pub(super) fn load(source: Source, pages: bool) -> Result<Self, String> {
        let failed = |error| format!("cannot make a random key: {error}");
        let seal = Seal::random().map_err(failed)?;
        let passes = pages.then(Passes::new).transpose().map_err(failed)?;
        let users = Users::load(&source, &seal)?;
        Ok(Self {
            source,
            seal,
            users: RwLock::new(Arc::new(users)),
            passes,
            hashing: Arc::new(Semaphore::new(limits::hashes_at_once())),
            waiting: Semaphore::new(limits::HASHES_WAITING),
        })
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The next state of the users, from the file as it is now; blocks.
    pub(super) fn read(&self) -> Result<Users, String> {
        Users::load(&self.source, &self.seal)
    }

    pub(super) fn renew(&self, users: Users) {
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(users);
    }

    fn users(&self) -> Arc<Users> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.clone()
    }

    pub(super) async fn judge(
        &self,
        visitor: &Visitor,
        headers: &HeaderMap,
        wants: Wants,
    ) -> Result<Admitted, Denied> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let header = match (given.next(), given.next()) {
            (None, _) => return self.by_pass(visitor, headers, wants),
            (Some(one), None) => one,
            (Some(_), Some(_)) => return Err(Denied::challenge("several credentials")),
        };
        let credentials = Credentials::read(header.as_bytes()).map_err(Denied::challenge)?;
        let shown = || String::from_utf8_lossy(&credentials.user).into_owned();
        let users = self.users();
        let seal = |texts: &[&[u8]]| self.seal.seal(texts).map_err(|_| Denied::busy());
        let name = seal(&[&credentials.user])?;
        let sealed = seal(&[&credentials.user, &credentials.password])?;
        if !self.is_right(&users, name, sealed, &credentials).await? {
            return Err(Denied::challenge("wrong user or password")
                .about("user", shown())
                .guessed());
        }
        let passes = self.passes.as_ref().filter(|_| wants == Wants::Page);
        let proof = users.proof(&name);
        Ok(Admitted {
            cookie: passes
                .zip(proof)
                .and_then(|(passes, proof)| passes.issue(&shown(), &proof, visitor.secure)),
            identity: Some(shown().into()),
        })
    }

    async fn is_right(
        &self,
        users: &Arc<Users>,
        name: Sealed,
        sealed: Sealed,
        credentials: &Credentials,
    ) -> Result<bool, Denied> {
        match users.judge(&name, &sealed) {
            Verdict::Right => return Ok(true),
            Verdict::Wrong => return Ok(false),
            Verdict::Ask(..) => {}
        }
        let _place = self.waiting.try_acquire().map_err(|_| Denied::busy())?;
        let turn = self.hashing.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Denied::busy())?;
        // The same page's other requests may have found out meanwhile.
        let (hash, known) = match users.judge(&name, &sealed) {
            Verdict::Right => return Ok(true),
            Verdict::Wrong => return Ok(false),
            Verdict::Ask(hash, known) => (hash, known),
        };
        let password = credentials.password.clone();
        let hashed = spawn_blocking(move || {
            // Held until the hash is done, also when the client has left.
            let _turn = turn;
            hash.is_of(&password)
        });
        let right = hashed.await.map_err(|_| Denied::busy())? && known;
        if right {
            users.remember(sealed);
        }
        Ok(right)
    }

    fn by_pass(
        &self,
        visitor: &Visitor,
        headers: &HeaderMap,
        wants: Wants,
    ) -> Result<Admitted, Denied> {
        let denied = || Denied::challenge("no credentials");
        let passes = self.passes.as_ref().ok_or_else(denied)?;
        if wants != Wants::WebSocket || !cookie::is_from_same_site(headers, visitor.secure) {
            return Err(denied());
        }
        let users = self.users();
        let proof = |user: &str| users.proof(&self.seal.seal(&[user.as_bytes()]).ok()?);
        match passes.user(headers, visitor.secure, proof) {
            Some(user) => Ok(Admitted {
                identity: Some(user.into()),
                cookie: None,
            }),
            None => Err(denied()),
        }
    }
}

/// What an `Authorization` header says.
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Credentials {
    pub(super) fn read(header: &[u8]) -> Result<Self, &'static str> {
        let (scheme, rest) = header
            .iter()
            .position(|byte| *byte == b' ')
            .and_then(|at| header.split_at_checked(at))
            .unwrap_or((header, b""));
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Err("not the Basic scheme");
        }
        let malformed = "malformed credentials";
        let mut user = BASE64.decode(rest.trim_ascii()).map_err(|_| malformed)?;
        let colon = user
            .iter()
            .position(|byte| *byte == b':')
            .ok_or(malformed)?;
        let password = user.split_off(colon + 1);
        user.truncate(colon);
        if user.len().max(password.len()) > limits::CREDENTIAL {
            return Err("credentials too long");
        }
        Ok(Self { user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    fn read(header: &str) -> Result<(String, String), &'static str> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Credentials::read(header.as_bytes()).map(|it| (text(it.user), text(it.password)))
    }

    #[test]
    fn schemes_in_any_case_colons_in_passwords_and_no_padding() {
        for header in [
            "Basic amFuZTphOmI=",
            "basic amFuZTphOmI=",
            "BASIC   amFuZTphOmI",
        ] {
            assert_eq!(read(header), Ok(("jane".into(), "a:b".into())), "{header}");
        }
        assert_eq!(read("Basic OnB3"), Ok((String::new(), "pw".into())));
    }

    #[test]
    fn what_says_nothing() {
        for header in [
            "Basic",
            "Basic ",
            "Basic amFuZQ==",
            "Basic a",
            "Basic amFu*ZTphOmI=",
        ] {
            assert_eq!(read(header), Err("malformed credentials"), "{header}");
        }
        for header in ["", "Bearer x", "Basi amFuZTphOmI=", "Basic\tamFuZTphOmI="] {
            assert_eq!(read(header), Err("not the Basic scheme"), "{header}");
        }
        assert!(read(&format!("Basic {}", "YTph".repeat(1000))).is_err());
    }
}
