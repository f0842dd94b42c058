//! Passes: what lets a browser that has shown its password with a page open a WebSocket without.
//!
//! Safari never sends Basic credentials with a WebSocket. A pass names the user and its own end,
//! is sealed with a key of this process, and is bound to the user's password as it was: neither a
//! restart nor a new password leaves one good.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hyper::HeaderMap;
use hyper::header::{COOKIE, HOST, HeaderValue, ORIGIN};
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;

use super::seal::{Seal, Sealed};
use crate::limits;

/// Issues passes and knows its own.
#[derive(Debug)]
pub(super) struct Passes {
    seal: Seal,
    /// Browsers keep cookies by host, not by port: another instance must not overwrite ours.
    name: String,
    /// Time is counted from here, so that setting the clock changes nothing.
    begin: Instant,
}

impl Passes {
    pub(super) fn new() -> Result<Self, ErrorStack> {
        let mut suffix = [0; 6];
        rand_bytes(&mut suffix)?;
        Ok(Self {
            seal: Seal::random()?,
            name: format!("websockify-{}", BASE64.encode(suffix)),
            begin: Instant::now(),
        })
    }

    /// The `Set-Cookie` of a new pass.
    pub(super) fn issue(&self, user: &str, proof: &Sealed, secure: bool) -> Option<HeaderValue> {
        let end = (self.begin.elapsed() + limits::PASS_TIME).as_secs();
        let seal = self.sealed(user, end, proof, secure)?;
        let value = format!(
            "{}={}.{end}.{}; Max-Age={}; Path=/; HttpOnly; SameSite=Strict{}",
            self.name(secure),
            BASE64.encode(user),
            BASE64.encode(seal.bytes()),
            limits::PASS_TIME.as_secs(),
            if secure { "; Secure" } else { "" },
        );
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whose valid pass is in a request; `proof` is asked for what a user's pass is bound to now.
    pub(super) fn user(
        &self,
        headers: &HeaderMap,
        secure: bool,
        proof: impl Fn(&str) -> Option<Sealed>,
    ) -> Option<String> {
        let name = self.name(secure);
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(given, _)| *given == name)
            .find_map(|(_, value)| self.read(value, secure, &proof))
    }

    fn read(
        &self,
        value: &str,
        secure: bool,
        proof: impl Fn(&str) -> Option<Sealed>,
    ) -> Option<String> {
        let mut parts = value.splitn(3, '.');
        let user = BASE64.decode(parts.next()?).ok()?;
        let user = String::from_utf8(user).ok()?;
        let end: u64 = parts.next()?.parse().ok()?;
        let given = BASE64.decode(parts.next()?).ok()?;
        let sealed = self.sealed(&user, end, &proof(&user)?, secure)?;
        (sealed == *given && self.begin.elapsed() < Duration::from_secs(end)).then_some(user)
    }

    fn sealed(&self, user: &str, end: u64, proof: &Sealed, secure: bool) -> Option<Sealed> {
        let texts: [&[u8]; 4] = [
            user.as_bytes(),
            &end.to_be_bytes(),
            proof.bytes(),
            &[u8::from(secure)],
        ];
        self.seal.seal(&texts).ok()
    }

    /// With `__Host-`, browsers let no neighbour of this host and no page without TLS set it.
    fn name(&self, secure: bool) -> String {
        format!("{}{}", if secure { "__Host-" } else { "" }, self.name)
    }
}

/// Whether a request comes from a page of the host that it goes to, as far as it says. Inside TLS
/// the page has to have come so, too: a plain one may be anybody's between here and there.
pub(super) fn is_from_same_site(headers: &HeaderMap, secure: bool) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => return true,
        (Some(one), None) => one.to_str().ok(),
        (Some(_), Some(_)) => return false,
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin
        .and_then(|origin| origin.split_once("://"))
        .zip(host)
        .is_some_and(|((scheme, from), to)| {
            let safe = !secure || scheme.eq_ignore_ascii_case("https");
            safe && !to.is_empty() && from.eq_ignore_ascii_case(to)
        })
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{COOKIE, HOST, ORIGIN};

    use super::{Passes, is_from_same_site};
    use crate::auth::seal::{Seal, Sealed};

    fn proof(of: &str) -> Sealed {
        thread_local!(static SEAL: Seal = Seal::random().unwrap());
        SEAL.with(|seal| seal.seal(&[of.as_bytes()]).unwrap())
    }

    fn shown(passes: &Passes, cookie: &str, secure: bool, password: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("a=b; {cookie};c").parse().unwrap());
        passes.user(&headers, secure, |user| {
            (user == "jané").then(|| proof(password))
        })
    }

    #[test]
    fn a_pass_is_good_for_its_user_password_port_and_process() {
        let passes = Passes::new().unwrap();
        let issued = passes.issue("jané", &proof("1"), true).unwrap();
        let issued = issued.to_str().unwrap();
        assert!(issued.starts_with("__Host-websockify-"));
        assert!(issued.ends_with("; Max-Age=300; Path=/; HttpOnly; SameSite=Strict; Secure"));
        let cookie = issued.split(';').next().unwrap();
        assert_eq!(shown(&passes, cookie, true, "1").as_deref(), Some("jané"));
        assert_eq!(shown(&passes, cookie, true, "2"), None);
        assert_eq!(shown(&passes, cookie, false, "1"), None);
        let plain = cookie.trim_start_matches("__Host-");
        assert_eq!(shown(&passes, plain, false, "1"), None);
        for at in [30, cookie.len() - 1] {
            let mut forged = cookie.to_owned();
            let other = if forged.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            forged.replace_range(at..=at, other);
            assert_eq!(shown(&passes, &forged, true, "1"), None, "{forged}");
        }
        let (name, value) = cookie.split_once('=').unwrap();
        let parts: Vec<&str> = value.split('.').collect();
        let longer = format!("{name}={}.99999999.{}", parts[0], parts[2]);
        assert_eq!(shown(&passes, &longer, true, "1"), None);
        let restarted = Passes {
            name: passes.name.clone(),
            ..Passes::new().unwrap()
        };
        assert_eq!(shown(&restarted, cookie, true, "1"), None);
        for nonsense in ["", "..", "a.b.c", "amFuZQ.1", "amFuZQ.1.x.y"] {
            let cookie = format!("{name}={nonsense}");
            assert_eq!(shown(&passes, &cookie, true, "1"), None, "{nonsense}");
        }
    }

    #[test]
    fn only_pages_of_the_same_host_count() {
        for (origin, host, same, inside_tls) in [
            (None, "h", true, true),
            (Some("https://h"), "h", true, true),
            (Some("http://H:8080"), "h:8080", true, false),
            (Some("https://h:1"), "h", false, false),
            (Some("https://evil"), "h", false, false),
            (Some("null"), "h", false, false),
            (Some("https://"), "", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            let got = [false, true].map(|secure| is_from_same_site(&headers, secure));
            assert_eq!(got, [same, inside_tls], "{origin:?} {host}");
        }
    }
}
