//! What a client shows at the door, and what says who may come in.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::{COOKIE, HOST, HeaderValue, ORIGIN};
use serde_json::Value;

use super::basic::Credentials;
use super::cookie::{Passes, is_from_same_site};
use super::origin::Origins;
use super::seal::Seal;
use super::{exec, htpasswd};
use crate::fuzz::Input;
use crate::limits;

/// A header; what is read can be written and is read again.
pub(crate) fn authorization(data: &[u8]) {
    if let Ok(read) = Credentials::read(data) {
        assert!(read.user.len().max(read.password.len()) <= limits::CREDENTIAL);
        assert!(!read.user.contains(&b':'));
        let text = [&read.user[..], b":", &read.password].concat();
        let header = format!("Basic {}", BASE64_STANDARD.encode(text));
        let again = Credentials::read(header.as_bytes());
        let again = again.unwrap_or_else(|why| panic!("{header}: {why}"));
        assert!(again.user == read.user && again.password == read.password);
    }
}

/// A file. No password is tried: that takes its time on purpose.
pub(crate) fn htpasswd(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match htpasswd::parse(&text) {
        Ok(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                assert!(!entry.user.is_empty());
                assert!(entries[..at].iter().all(|it| it.user != entry.user));
                assert!(text.contains(&format!("{}:{}", entry.user, entry.hash.text())));
            }
        }
        Err((line, fault)) => {
            let line = text.lines().nth(line - 1).unwrap_or_default();
            // What is said is our own words: of a short line they may be a part.
            assert!(line.len() < 16 || !fault.contains(line));
        }
    }
}

/// Cookies in which `NAME` stands for the name of ours. Nobody but us can make one.
pub(crate) fn cookie(data: &[u8]) {
    thread_local!(static OURS: (Passes, String) = {
        let passes = Passes::new().unwrap_or_else(|why| panic!("{why}"));
        let seal = Seal::random().and_then(|seal| seal.seal(&[b"x"]));
        let issued = passes.issue("jane", &seal.unwrap_or_else(|why| panic!("{why}")), false);
        let issued = issued.unwrap_or_else(|| panic!("no cookie"));
        let name = issued.to_str().unwrap_or_default().split('=').next().unwrap_or_default().to_owned();
        (passes, name)
    });
    let mut input = Input::new(data);
    let mut headers = HeaderMap::new();
    for name in [HOST, ORIGIN] {
        if let Ok(value) = HeaderValue::from_bytes(input.line()) {
            headers.append(name, value);
        }
    }
    let same = is_from_same_site(&headers, true);
    assert!(!same || is_from_same_site(&headers, false));
    OURS.with(|(passes, name)| {
        let text = String::from_utf8_lossy(input.rest()).replace("NAME", name);
        for line in text.lines() {
            if let Ok(value) = HeaderValue::from_str(line) {
                headers.append(COOKIE, value);
            }
        }
        for secure in [false, true] {
            let proof = |_: &str| Seal::random().ok()?.seal(&[b"y"]).ok();
            assert_eq!(passes.user(&headers, secure, proof), None);
        }
    });
}

/// A list of origins in a line, then one that a browser could say.
pub(crate) fn origin(data: &[u8]) {
    let mut input = Input::new(data);
    let list = String::from_utf8_lossy(input.line()).into_owned();
    let given = String::from_utf8_lossy(input.rest());
    let Ok(origins) = Origins::parse(&list) else {
        return;
    };
    let given = given.to_ascii_lowercase();
    let lower = list.to_ascii_lowercase();
    let meant = lower.split_whitespace().any(|pattern| {
        // As a URL reads them: a scheme's own port is none.
        let plain = |text: &str| {
            let (scheme, host) = text.split_once("://")?;
            let port = match scheme {
                "https" => ":443",
                "http" => ":80",
                _ => "\0",
            };
            let host = host.strip_suffix(port).unwrap_or(host);
            Some((scheme.to_owned(), host.to_owned()))
        };
        let (Some((scheme, host)), Some((from, there))) = (plain(pattern), given.split_once("://"))
        else {
            return false;
        };
        let fits = match host.strip_prefix('*') {
            None => there == host,
            Some(parent) => {
                let labels = there.strip_suffix(parent).unwrap_or_default();
                let is_in = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
                !labels.is_empty()
                    && labels.chars().all(is_in)
                    && labels.split('.').all(|label| !label.is_empty())
            }
        };
        scheme == from && fits
    });
    assert_eq!(origins.contains(&given), meant, "{list:?} {given:?}");
}

/// A helper's answer, as JSON.
pub(crate) fn helper_verdict(data: &[u8]) {
    let Ok(Value::Object(answer)) = serde_json::from_slice(data) else {
        return;
    };
    match exec::verdict(&answer) {
        Ok(exec::Verdict::Allow(_)) => assert_eq!(answer["allow"], true),
        Ok(exec::Verdict::Deny(refusal, _)) => {
            assert_eq!(answer["allow"], false);
            assert!((300..=599).contains(&refusal.status.as_u16()));
            let headers = refusal.headers;
            assert!(headers.iter().all(|(name, _)| name != "content-length"));
            let given = answer.get("headers").and_then(Value::as_object);
            let values = given.map_or(0, serde_json::Map::len);
            assert!(values <= limits::HELPER_HEADERS);
        }
        Err(why) => assert!(!why.is_empty()),
    }
}
