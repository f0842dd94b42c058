//! `Exec`: a program of the administrator's says who may come in. Its protocol is in
//! man/websockify-helper.7.

use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::verdict::Denied;
use super::{Admitted, Visitor, Wants};
use crate::helper::codec::{self, Fields};
use crate::helper::{Fault, Helper, Program};
use crate::limits;
use crate::listener::Peer;
use crate::refusal::Refusal;
use crate::target::Target;

/// A helper that is asked.
#[derive(Debug)]
pub(super) struct Exec(Helper);

/// When a helper is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before anything is looked up for the client.
    Authenticate,
    /// When its token has led to a target.
    Authorize,
}

impl Exec {
    pub(super) fn new(program: Program) -> Result<Self, String> {
        Helper::new(program).map(Self)
    }

    /// What it asks, to be started, renewed and stopped.
    pub(super) fn helper(&self) -> &Helper {
        &self.0
    }

    pub(super) async fn judge(
        &self,
        visitor: &Visitor,
        request: &Request<()>,
        asked: (Wants, Stage, Option<&Target>),
    ) -> Result<Admitted, Denied> {
        let question = question(visitor, request, asked);
        let answer = self.0.ask(&question).await.map_err(unanswered)?;
        match verdict(&answer) {
            Ok(Verdict::Allow(identity)) => Ok(Admitted {
                identity,
                cookie: None,
            }),
            Ok(Verdict::Deny(refusal, said)) => {
                let tried = request.headers().contains_key(AUTHORIZATION);
                Err(denied(refusal, said, tried))
            }
            Err(why) => {
                self.0.complain(&why);
                Err(unanswered(Fault::Nonsense))
            }
        }
    }
}

fn question(
    visitor: &Visitor,
    request: &Request<()>,
    (wants, stage, target): (Wants, Stage, Option<&Target>),
) -> Fields {
    let stage = match stage {
        Stage::Authenticate => "authenticate",
        Stage::Authorize => "authorize",
    };
    let wants = match wants {
        Wants::Page => "page",
        Wants::WebSocket => "websocket",
    };
    let (uri, headers) = (request.uri(), request.headers());
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        json!([name.as_str(), codec::bytes(value.as_bytes())])
    };
    let certificate = visitor.certificate.as_ref().map(|names| {
        json!({
            "common_names": names.common(),
            "emails": names.email(),
            "dns_names": names.dns(),
        })
    });
    codec::fields([
        ("stage", stage.into()),
        ("wants", wants.into()),
        ("method", request.method().as_str().into()),
        ("path", codec::bytes(uri.path().as_bytes())),
        (
            "query",
            uri.query().map(|it| codec::bytes(it.as_bytes())).into(),
        ),
        ("headers", headers.iter().map(pair).collect()),
        ("peer", peer(&visitor.peer)),
        ("tls", visitor.secure.into()),
        ("certificate", certificate.into()),
        ("target", target.map(place).into()),
    ])
}

fn peer(peer: &Peer) -> Value {
    match peer {
        Peer::Tcp(address) => json!({ "address": address.ip(), "port": address.port() }),
        Peer::Forwarded(address) => json!({ "address": address, "port": null }),
        Peer::Unix { uid, pid } => json!({ "uid": uid, "pid": pid }),
    }
}

fn place(target: &Target) -> Value {
    match target {
        Target::Tcp { host, port } => json!({ "host": host, "port": port }),
        Target::Unix(path) => json!({ "unix": path.to_string_lossy() }),
        Target::Loopback(port) => json!({ "host": "localhost", "port": port }),
        Target::Inside { root, path } => json!({ "unix": root.join(path).to_string_lossy() }),
    }
}

/// What a helper says of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It comes in, and has this name.
    Allow(Option<Box<str>>),
    /// It gets this answer; only the administrator is told what else was said.
    Deny(Refusal, Vec<(&'static str, String)>),
}

/// Reads an answer. An error is a sentence for the administrator.
pub(super) fn verdict(answer: &Fields) -> Result<Verdict, String> {
    let identity = codec::text(answer, "identity")?.filter(|name| !name.is_empty());
    let message = codec::text(answer, "message")?;
    let reason = codec::text(answer, "reason")?;
    let status = answer.get("status").filter(|it| !it.is_null());
    let headers = headers(answer.get("headers").unwrap_or(&Value::Null))?;
    match answer.get("allow") {
        Some(Value::Bool(true)) if status.is_none() && message.is_none() && headers.is_empty() => {
            Ok(Verdict::Allow(identity.map(Into::into)))
        }
        Some(Value::Bool(true)) => {
            Err("it allows, and has a status, headers or a message".to_owned())
        }
        Some(Value::Bool(false)) => {
            let status = status.map_or(Ok(StatusCode::FORBIDDEN), denial)?;
            let usual = || status.canonical_reason().unwrap_or("Refused").to_owned();
            let text = message.unwrap_or_else(usual);
            let refusal = Refusal {
                headers,
                ..Refusal::new(status, text)
            };
            let said = [("user", identity), ("helper", reason)];
            let said = said
                .into_iter()
                .filter_map(|(name, text)| Some((name, text?)));
            Ok(Verdict::Deny(refusal, said.collect()))
        }
        _ => Err("allow is neither true nor false".to_owned()),
    }
}

/// A status that lets nobody in: a success would be none, and what is below is no answer.
fn denial(status: &Value) -> Result<StatusCode, String> {
    let code = status.as_u64().and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (300..=599).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| format!("status {status} is not a number from 300 to 599"))
}

/// Reads `{"Name": "value", "Other": ["one", "two"]}`.
fn headers(given: &Value) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let given = match given {
        Value::Null => return Ok(Vec::new()),
        Value::Object(given) => given,
        _ => return Err("headers is not an object".to_owned()),
    };
    let mut headers = Vec::new();
    for (name, values) in given {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("'{name}' is not the name of a header"))?;
        if is_ours(&parsed) {
            return Err(format!("header {parsed} is not a helper's to set"));
        }
        let values = match values {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let value = value.as_str().map(HeaderValue::from_str);
            let Some(Ok(value)) = value else {
                return Err(format!("header {parsed} has a value that is none"));
            };
            headers.push((parsed.clone(), value));
        }
        if headers.len() > limits::HELPER_HEADERS {
            return Err(format!("more than {} headers", limits::HELPER_HEADERS));
        }
    }
    Ok(headers)
}

/// Whether a header says how the answer itself is framed and signed, or what a handshake is.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 9] = [
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        DATE,
        SERVER,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let name_of_old = ["keep-alive", "proxy-connection"].contains(&name.as_str());
    name_of_old || OURS.contains(name) || name.as_str().starts_with("sec-websocket-")
}

/// What a refusal means for who guesses: 401 asks anybody who has not shown anything yet.
fn denied(refusal: Refusal, said: Vec<(&'static str, String)>, tried: bool) -> Denied {
    let status = refusal.status;
    let told = match status {
        StatusCode::UNAUTHORIZED if !tried => "no credentials",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "refused by the helper",
        _ => "turned away by the helper",
    };
    let denied = Denied::new(told, refusal);
    let denied = said
        .into_iter()
        .fold(denied, |denied, (name, text)| denied.about(name, text));
    let guess = status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED && tried;
    if guess { denied.guessed() } else { denied }
}

/// Nothing is wrong with the client.
fn unanswered(fault: Fault) -> Denied {
    Denied::unavailable(match fault {
        Fault::Down => "helper does not run",
        Fault::Late => "helper is late",
        Fault::Ended => "helper ended",
        Fault::Nonsense => "helper's answer cannot be used",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Verdict, verdict};
    use crate::helper::codec::Fields;

    fn of(answer: Value) -> Result<Verdict, String> {
        match answer {
            Value::Object(fields) => verdict(&fields),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn allowed_with_a_name_or_without() {
        assert_eq!(of(json!({"allow": true})), Ok(Verdict::Allow(None)));
        assert_eq!(
            of(json!({"allow": true, "identity": "jane", "status": null, "more": 1})),
            Ok(Verdict::Allow(Some("jane".into())))
        );
        assert_eq!(
            of(json!({"allow": true, "identity": ""})),
            Ok(Verdict::Allow(None))
        );
    }

    #[test]
    fn refused_with_status_headers_and_message() {
        let Ok(Verdict::Deny(refusal, said)) = of(json!({
            "allow": false, "status": 418, "message": "short and stout", "reason": "no coffee",
            "identity": "jane",
            "headers": {"X-Pot": "tea", "Set-Cookie": ["a=1", "b=2"]},
        })) else {
            panic!()
        };
        assert_eq!(
            (refusal.status.as_u16(), &*refusal.text),
            (418, "short and stout")
        );
        let expected = [("user", "jane".into()), ("helper", "no coffee".into())];
        assert_eq!(said, expected);
        let headers = refusal.headers.iter();
        let mut headers: Vec<_> = headers.map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        headers.sort_unstable();
        let expected: [(_, &[u8]); 3] = [
            ("set-cookie", b"a=1"),
            ("set-cookie", b"b=2"),
            ("x-pot", b"tea"),
        ];
        assert_eq!(headers, expected);
        let Ok(Verdict::Deny(refusal, said)) = of(json!({"allow": false})) else {
            panic!()
        };
        assert!(said.is_empty());
        assert_eq!(
            (refusal.status.as_u16(), &*refusal.text),
            (403, "Forbidden")
        );
    }

    #[test]
    fn what_makes_no_sense_lets_nobody_in() {
        for answer in [
            json!({}),
            json!({"allow": 1}),
            json!({"allow": "true"}),
            json!({"allow": null}),
            json!({"allow": true, "status": 200}),
            json!({"allow": true, "status": 403}),
            json!({"allow": true, "message": "x"}),
            json!({"allow": true, "headers": {"a": "b"}}),
            json!({"allow": true, "identity": 7}),
            json!({"allow": true, "identity": "x".repeat(1025)}),
            json!({"allow": false, "status": 101}),
            json!({"allow": false, "status": 200}),
            json!({"allow": false, "status": 600}),
            json!({"allow": false, "status": 65_939}),
            json!({"allow": false, "status": "403"}),
            json!({"allow": false, "status": 403.5}),
            json!({"allow": false, "message": ["x"]}),
            json!({"allow": false, "message": "x".repeat(1025)}),
            json!({"allow": false, "headers": [["a", "b"]]}),
            json!({"allow": false, "headers": {"a": 1}}),
            json!({"allow": false, "headers": {"a b": "c"}}),
            json!({"allow": false, "headers": {"a": "b\r\nc: d"}}),
            json!({"allow": false, "headers": {"a": vec!["b"; 33]}}),
            json!({"allow": false, "headers": {"Content-Length": "0"}}),
            json!({"allow": false, "headers": {"connection": "close"}}),
            json!({"allow": false, "headers": {"KEEP-ALIVE": "1"}}),
            json!({"allow": false, "headers": {"Transfer-Encoding": "chunked"}}),
            json!({"allow": false, "headers": {"Sec-WebSocket-Accept": "x"}}),
        ] {
            assert!(of(answer.clone()).is_err(), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn no_status_header_or_text_is_too_strange(
            status: i64, name: String, value: String, text: String, allow: bool,
        ) {
            let answer = json!({
                "allow": allow, "status": status, "headers": {name: value}, "message": text,
            });
            if let Value::Object(fields) = answer {
                let verdict = verdict(&fields as &Fields);
                prop_assert!(!matches!(verdict, Ok(Verdict::Allow(_))));
            }
        }
    }
}
