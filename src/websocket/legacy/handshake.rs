//! The requests of draft-hixie-thewebsocketprotocol-75 and -76, and the answers to them.
//!
//! A client of draft 76 sends eight bytes behind its request and checks sixteen behind our answer:
//! they prove that we are no other server, which was tricked into reading frames.

use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use hyper::http;
use openssl::hash::{MessageDigest, hash};

use crate::refusal::Refusal;
use crate::websocket::framing::Framing;
use crate::websocket::handshake::{Agreed, BASE64, bad, items};

/// What clients of draft 75 compare to the letter, as websockify wrote it.
const REASON: ReasonPhrase = ReasonPhrase::from_static(b"Web Socket Protocol Handshake");

/// Bytes that a client of draft 76 sends behind its request.
pub const KEY3: usize = 8;

/// What a client of draft 76 asks, but for its last eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge([u8; 8]);

impl Challenge {
    /// The bytes that go behind our answer; none where OpenSSL has no MD5.
    #[must_use]
    pub fn solve(self, key3: [u8; KEY3]) -> Option<Vec<u8>> {
        let asked = [self.0, key3].concat();
        hash(MessageDigest::md5(), &asked)
            .ok()
            .map(|it| it.to_vec())
    }
}

/// Whether bytes follow the request that are no request: a client of draft 76 sends them at once.
#[must_use]
pub fn brings_more(headers: &HeaderMap) -> bool {
    key(headers, 1).is_some()
}

/// Judges a request without `Sec-WebSocket-Version`; `secure` is whether it came by TLS.
///
/// # Errors
/// A request that the drafts forbid.
pub(in crate::websocket) fn answer<B>(
    request: &Request<B>,
    secure: bool,
) -> Result<Agreed, Refusal> {
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else {
        return Err(bad("Missing Origin header"));
    };
    let challenge = challenge(headers)?;
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.extensions_mut().insert(REASON);
    // The order matters to clients of draft 75.
    let [own_origin, own_location, own_protocol] = match challenge {
        Some(_) => [
            HeaderName::from_static("sec-websocket-origin"),
            HeaderName::from_static("sec-websocket-location"),
            SEC_WEBSOCKET_PROTOCOL,
        ],
        None => [
            HeaderName::from_static("websocket-origin"),
            HeaderName::from_static("websocket-location"),
            HeaderName::from_static("websocket-protocol"),
        ],
    };
    let out = answer.headers_mut();
    out.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
    out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    out.insert(own_origin, origin.clone());
    out.insert(own_location, location(request, secure)?);
    // Not every client says what it speaks, but all that there is, is text.
    if offers_base64(headers) {
        out.insert(own_protocol, HeaderValue::from_static(BASE64));
    }
    Ok(Agreed {
        answer,
        framing: match challenge {
            Some(_) => Framing::Hixie76,
            None => Framing::Hixie75,
        },
        challenge,
    })
}

/// The address that the client has for us: it compares it with its own.
fn location<B>(request: &Request<B>, secure: bool) -> Result<HeaderValue, Refusal> {
    let Some(host) = request.headers().get(HOST) else {
        return Err(bad("Missing Host header"));
    };
    let scheme: &[u8] = if secure { b"wss://" } else { b"ws://" };
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    HeaderValue::from_bytes(&[scheme, host.as_bytes(), path.as_bytes()].concat())
        .map_err(|_| bad("Invalid Host header"))
}

fn offers_base64(headers: &HeaderMap) -> bool {
    let offers = |name| items(headers, &name).any(|item| item == BASE64);
    offers(SEC_WEBSOCKET_PROTOCOL) || offers(HeaderName::from_static("websocket-protocol"))
}

/// What draft 76 asks; nothing for draft 75.
fn challenge(headers: &HeaderMap) -> Result<Option<Challenge>, Refusal> {
    let (Some(first), Some(second)) = (key(headers, 1), key(headers, 2)) else {
        return match (key(headers, 1), key(headers, 2)) {
            (None, None) => Ok(None),
            _ => Err(bad("Missing Sec-WebSocket-Key1 or -Key2 header")),
        };
    };
    let (Some(first), Some(second)) = (number(first), number(second)) else {
        return Err(bad("Invalid Sec-WebSocket-Key1 or -Key2 header"));
    };
    if hash(MessageDigest::md5(), b"").is_err() {
        let status = StatusCode::NOT_IMPLEMENTED;
        return Err(Refusal::new(status, "This server's OpenSSL has no MD5"));
    }
    let mut asked = [0; 8];
    asked[..4].copy_from_slice(&first.to_be_bytes());
    asked[4..].copy_from_slice(&second.to_be_bytes());
    Ok(Some(Challenge(asked)))
}

fn key(headers: &HeaderMap, which: u8) -> Option<&HeaderValue> {
    headers
        .get(format!("sec-websocket-key{which}"))
        .or_else(|| headers.get(format!("websocket-key{which}")))
}

/// Reads the number that a key hides: its digits, divided by the number of its spaces.
fn number(key: &HeaderValue) -> Option<u32> {
    let (mut digits, mut spaces) = (0u64, 0);
    for &byte in key.as_bytes() {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                digits = digits.checked_mul(10)?.checked_add(digit)?;
            }
            b' ' => spaces += 1,
            _ => {}
        }
    }
    // No space at all gives nothing, too.
    match digits.checked_rem(spaces)? {
        0 => u32::try_from(digits / spaces).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Challenge, Framing, HeaderValue, Request, answer, number};

    fn hidden(key: &str) -> Option<u32> {
        number(&HeaderValue::from_str(key).unwrap())
    }

    /// The two examples of draft 76, 1.2 and 1.3, and of its last revision.
    #[test]
    fn the_published_handshakes() {
        for (keys, numbers, key3, solution) in [
            (
                ["4 @1  46546xW%0l 1 5", "12998 5 Y3 1  .P00"],
                [829_309_203, 259_970_620],
                b"^n:ds[4U",
                b"8jKS'y:G*Co,Wxa-",
            ),
            (
                [
                    "18x 6]8vM;54 *(5:  {   U1]8  z [  8",
                    "1_ tx7X d  <  nw  334J702) 7]o}` 0",
                ],
                [155_712_099, 173_347_027],
                b"Tm[K T2u",
                b"fQJ,fN/4F4!~K~MH",
            ),
        ] {
            assert_eq!(keys.map(hidden), numbers.map(Some));
            let asked = numbers.map(u32::to_be_bytes).concat();
            let challenge = Challenge(asked.try_into().unwrap());
            assert_eq!(challenge.solve(*key3).unwrap(), solution);
        }
    }

    #[test]
    fn keys_that_hide_nothing() {
        for key in [
            "",
            "12345",
            "no digits",
            "1 2 3x 1",
            "42949672960 ",
            "99999999999999999999 9",
        ] {
            let expected = if key == "no digits" { Some(0) } else { None };
            assert_eq!(hidden(key), expected, "{key}");
        }
        assert_eq!(hidden("4294967295 "), Some(u32::MAX));
    }

    #[test]
    fn both_drafts_are_told_by_their_headers() {
        let request = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/path?query");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(()).unwrap()
        };
        let base = [("host", "h:1"), ("origin", "http://o")];
        let keys = [("sec-websocket-key1", "1 1"), ("sec-websocket-key2", "2 2")];
        let old = answer(&request(&base), false).unwrap();
        assert_eq!((old.framing, old.challenge), (Framing::Hixie75, None));
        let names: Vec<&str> = old.answer.headers().keys().map(|it| it.as_str()).collect();
        let expected = [
            "upgrade",
            "connection",
            "websocket-origin",
            "websocket-location",
        ];
        assert_eq!(names, expected);
        let new = answer(&request(&[base, keys].concat()), true).unwrap();
        assert_eq!(new.framing, Framing::Hixie76);
        assert_eq!(new.challenge, Some(Challenge([0, 0, 0, 11, 0, 0, 0, 22])));
        assert_eq!(
            new.answer.headers()["sec-websocket-location"],
            "wss://h:1/path?query"
        );
        for missing in [
            &[base[0]][..],
            &[base[1]],
            &[base[0], base[1], keys[0]],
            &[base[0], base[1], keys[1]],
            &[base[0], base[1], keys[0], ("sec-websocket-key2", "22")],
        ] {
            assert_eq!(answer(&request(missing), false).unwrap_err().status, 400);
        }
    }
}
