//! What a token says, once it is known to be from whom it should (RFC 7519, 4).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{Options, Reason};
use crate::limits;
use crate::route::Route;
use crate::token::json;

/// Judges the payload of a token at the time `now`.
pub(super) fn judge(payload: &[u8], options: &Options, now: SystemTime) -> Result<Route, Reason> {
    let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(payload) else {
        return Err("its payload is no JSON object");
    };
    if time(&claims, "nbf")?.is_some_and(|since| now + limits::JWT_LEEWAY < since) {
        return Err("it can not be used yet");
    }
    let until = time(&claims, "exp")?.map(|until| until + limits::JWT_LEEWAY);
    if until.is_some_and(|until| now > until) {
        return Err("it has expired");
    }
    let is = |name: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| match claims.get(name) {
            Some(Value::Array(all)) => all.iter().any(|it| it == wanted),
            Some(one) => one == wanted,
            None => false,
        })
    };
    if !is("iss", &options.issuer) {
        return Err("it is from another issuer than --token-issuer");
    }
    if !is("aud", &options.audience) {
        return Err("it is for another audience than --token-audience");
    }
    let route = json::host_and_port(&claims)?;
    Ok(Route {
        until: until.filter(|_| options.expiry),
        ..route
    })
}

/// A time in seconds since 1970, with fractions or not (RFC 7519, 2).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<SystemTime>, Reason> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Beyond what a Duration holds, and before 1970, is nothing that anybody means.
    value
        .as_f64()
        .and_then(|it| Duration::try_from_secs_f64(it).ok())
        .and_then(|it| UNIX_EPOCH.checked_add(it))
        .filter(|it| it.checked_add(limits::JWT_LEEWAY).is_some())
        .map(Some)
        .ok_or("its nbf or exp is no time")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use proptest::prelude::proptest;

    use super::{Options, judge};
    use crate::limits;

    const NOW: u64 = 1_800_000_000;

    fn options() -> Options {
        Options {
            key: "key".into(),
            issuer: None,
            audience: None,
            expiry: false,
        }
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn judged(more: &str, options: &Options) -> Result<String, &'static str> {
        let payload = format!("{{\"host\":\"h\",\"port\":1{more}}}");
        judge(payload.as_bytes(), options, now()).map(|it| it.to_string())
    }

    #[test]
    fn times_have_leeway() {
        let leeway = limits::JWT_LEEWAY.as_secs();
        for (claim, counts) in [
            (format!("\"exp\":{}", NOW - leeway), true),
            (format!("\"exp\":{}", NOW - leeway - 1), false),
            (format!("\"exp\":{}.5", NOW - leeway - 1), false),
            (format!("\"nbf\":{}", NOW + leeway), true),
            (format!("\"nbf\":{}.5", NOW + leeway), false),
            (format!("\"nbf\":{NOW},\"exp\":{NOW}"), true),
            ("\"exp\":\"1\"".into(), false),
            ("\"exp\":null".into(), false),
            ("\"exp\":-1".into(), false),
            ("\"exp\":1e300".into(), false),
            ("\"exp\":18446744073709551615".into(), false),
        ] {
            assert_eq!(
                judged(&format!(",{claim}"), &options()).is_ok(),
                counts,
                "{claim}"
            );
        }
    }

    #[test]
    fn from_whom_and_for_whom() {
        let options = Options {
            issuer: Some("me".into()),
            audience: Some("vnc".into()),
            ..options()
        };
        for (claims, counts) in [
            (",\"iss\":\"me\",\"aud\":\"vnc\"", true),
            (",\"iss\":\"me\",\"aud\":[\"ssh\",\"vnc\"]", true),
            (",\"iss\":\"me\",\"aud\":[\"ssh\"]", false),
            (",\"iss\":\"me\"", false),
            (",\"aud\":\"vnc\"", false),
            (",\"iss\":\"you\",\"aud\":\"vnc\"", false),
            (",\"iss\":1,\"aud\":\"vnc\"", false),
        ] {
            assert_eq!(judged(claims, &options).is_ok(), counts, "{claims}");
        }
    }

    #[test]
    fn an_end_only_when_asked_for() {
        let payload = format!("{{\"host\":\"h\",\"port\":1,\"exp\":{NOW}}}");
        let until = |expiry| {
            let options = Options {
                expiry,
                ..options()
            };
            judge(payload.as_bytes(), &options, now()).unwrap().until
        };
        assert_eq!(until(false), None);
        assert_eq!(until(true), Some(now() + limits::JWT_LEEWAY));
    }

    proptest! {
        #[test]
        fn nothing_panics(payload in "\\{(\"(exp|nbf|aud|host|port)\":[0-9eE.\\[\\]\"a-z+-]{0,9},?){0,4}\\}?") {
            let _ = judge(payload.as_bytes(), &options(), now());
        }
    }
}
