//! The request that asks for a WebSocket, and the answer to it (RFC 6455, 4.2).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::http;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::framing::Framing;
use super::legacy::{self, handshake::Challenge};
use crate::refusal::Refusal;

/// The versions that share RFC 6455's framing: drafts 07 and 08 to 12, and the RFC itself.
const VERSIONS: [&str; 3] = ["13", "8", "7"];

/// The subprotocol of websockify until 0.8 for clients that have text only.
pub(super) const BASE64: &str = "base64";

pub(super) fn bad(text: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, text)
}

/// Whether a request asks for a WebSocket: GET with `websocket` among the upgrades it names.
#[must_use]
pub fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && items(request.headers(), &UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket"))
}

/// What a request for a WebSocket comes to.
#[derive(Debug)]
pub struct Agreed {
    /// The 101 answer.
    pub answer: Response<()>,
    /// What comes behind it.
    pub framing: Framing,
    /// What the client asks before that, if its draft does so.
    pub challenge: Option<Challenge>,
}

/// What we would speak.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// The subprotocols beside `binary` that may be chosen, in the order of our preference; behind
    /// them comes `base64`.
    pub subprotocols: &'t [String],
    /// See [`crate::cli::Options::legacy_protocols`].
    pub legacy: bool,
    /// Whether there is TLS in between.
    pub secure: bool,
}

/// Judges a request for a WebSocket and makes the 101 answer.
///
/// # Errors
/// A request that RFC 6455 forbids, or that offers subprotocols of which we speak none.
pub fn answer<B>(request: &Request<B>, terms: Terms<'_>) -> Result<Agreed, Refusal> {
    let headers = request.headers();
    if request.version() < Version::HTTP_11 {
        return Err(bad("WebSocket needs HTTP/1.1"));
    }
    if !items(headers, &CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade")) {
        return Err(bad("Missing Connection: Upgrade header"));
    }
    let Some(version) = headers.get(SEC_WEBSOCKET_VERSION) else {
        if terms.legacy && !headers.contains_key(SEC_WEBSOCKET_KEY) {
            return legacy::handshake::answer(request, terms.secure);
        }
        return Err(bad("Missing Sec-WebSocket-Version header"));
    };
    if !VERSIONS.iter().any(|known| version == known) {
        let status = StatusCode::UPGRADE_REQUIRED;
        return Err(Refusal::new(status, "Unsupported WebSocket version")
            .with(SEC_WEBSOCKET_VERSION, "13, 8, 7"));
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
        return Err(bad("Missing Sec-WebSocket-Key header"));
    };
    let chosen = choose_subprotocol(headers, terms.subprotocols)?;
    let mut answer = switching(key)?;
    let mut framing = Framing::Binary;
    if let Some(name) = chosen {
        if name == BASE64 {
            framing = Framing::Base64;
        }
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(Agreed {
        answer,
        framing,
        challenge: None,
    })
}

/// The 101 for a key, which is 16 bytes in base64 (RFC 6455, 4.2.1 and 4.2.2).
fn switching(key: &HeaderValue) -> Result<Response<()>, Refusal> {
    let mut bytes = [0; 18];
    let decoded = BASE64_STANDARD.decode_slice(key, &mut bytes);
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    let (Ok(16), Ok(accept)) = (decoded, accept) else {
        return Err(bad("Invalid Sec-WebSocket-Key header"));
    };
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(answer)
}

/// None offered, none chosen: noVNC offers none. `binary` is what websockify speaks, so it wins.
fn choose_subprotocol(
    headers: &HeaderMap,
    extra: &[String],
) -> Result<Option<HeaderValue>, Refusal> {
    let offered: Vec<&str> = items(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
    if offered.is_empty() {
        return Ok(None);
    }
    let ours = ["binary"]
        .into_iter()
        .chain(extra.iter().map(String::as_str))
        .chain([BASE64]);
    for name in ours {
        if offered.contains(&name) {
            return Ok(HeaderValue::from_str(name).ok());
        }
    }
    Err(bad("Invalid protocol selected"))
}

/// The items of a comma-separated header, over all of its lines, trimmed, empty ones left out.
pub(super) fn items<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h str> + use<'h> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{
        Agreed, Framing, Method, Refusal, Request, StatusCode, Terms, Version, is_asked_for,
    };

    /// The request of RFC 6455, 1.3, changed as a test wants it.
    fn request(change: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::builder()
            .uri("/any/path")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .unwrap();
        for (name, value) in change {
            if value.is_empty() {
                request.headers_mut().remove(*name);
            } else {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
        }
        request
    }

    fn answer<B>(request: &Request<B>, subprotocols: &[String]) -> Result<Agreed, Refusal> {
        let terms = Terms {
            subprotocols,
            legacy: false,
            secure: false,
        };
        super::answer(request, terms)
    }

    fn status(change: &[(&'static str, &'static str)]) -> StatusCode {
        answer(&request(change), &[]).map_or_else(|refusal| refusal.status, |it| it.answer.status())
    }

    #[test]
    fn the_sample_of_the_rfc() {
        let response = answer(&request(&[]), &[]).unwrap().answer;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(
            response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn who_asks_for_a_websocket() {
        assert!(is_asked_for(&request(&[])));
        assert!(is_asked_for(&request(&[("upgrade", "h2c, websocket")])));
        assert!(!is_asked_for(&request(&[("upgrade", "")])));
        assert!(!is_asked_for(&request(&[("upgrade", "websockets")])));
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert!(!is_asked_for(&post));
    }

    #[test]
    fn what_is_refused_and_how() {
        for version in ["13", "8", "7"] {
            assert_eq!(status(&[("sec-websocket-version", version)]), 101);
        }
        assert_eq!(status(&[("sec-websocket-version", "")]), 400);
        for version in ["0", "6", "14", "013", "13, 8"] {
            assert_eq!(status(&[("sec-websocket-version", version)]), 426);
        }
        assert_eq!(status(&[("sec-websocket-key", "")]), 400);
        assert_eq!(status(&[("sec-websocket-key", "dGhlIHNhbXBsZQ==")]), 400);
        assert_eq!(status(&[("connection", "")]), 400);
        assert_eq!(status(&[("connection", "close")]), 400);
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(answer(&old, &[]).unwrap_err().status, 400);
    }

    #[test]
    fn subprotocols_are_trimmed_and_matched_whole() {
        let extra = ["mqtt".to_owned(), "sip".to_owned()];
        for (offered, chosen) in [
            ("binary", Some("binary")),
            ("base64, binary", Some("binary")),
            ("base64,binary", Some("binary")),
            ("sip ,mqtt", Some("mqtt")),
            ("mqtt, binary", Some("binary")),
            ("Binary", None),
            ("binary2", None),
            ("chat", None),
            ("base64", Some("base64")),
            ("base64, sip", Some("sip")),
        ] {
            let got = answer(&request(&[("sec-websocket-protocol", offered)]), &extra).ok();
            let text = chosen == Some("base64");
            assert!(
                got.as_ref()
                    .is_none_or(|it| (it.framing == Framing::Base64) == text),
                "{offered}"
            );
            let got = got.map(|it| it.answer.headers()["sec-websocket-protocol"].clone());
            assert_eq!(
                got.as_ref().map(|it| it.to_str().unwrap()),
                chosen,
                "{offered}"
            );
        }
        assert_eq!(status(&[("sec-websocket-protocol", " , ")]), 101);
    }
}
