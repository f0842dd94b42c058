//! `Exec`: a program of the administrator's knows where tokens lead. Its protocol is in
//! man/websockify-helper.7.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::Fault;
use crate::helper::codec::{self, Fields};
use crate::helper::{self, Helper, Program};
use crate::proxy_protocol::ProxyVersion;
use crate::route::Route;
use crate::target::Target;

/// A helper that is asked.
#[derive(Debug)]
pub(super) struct Exec(Helper);

impl Exec {
    pub(super) fn new(program: Program) -> Result<Self, String> {
        Helper::new(program).map(Self)
    }

    /// What it asks, to be started, renewed and stopped.
    pub(super) fn helper(&self) -> &Helper {
        &self.0
    }

    pub(super) async fn look_up(&self, token: &str) -> Result<Option<Route>, Fault> {
        let question = codec::fields([("stage", "lookup".into()), ("token", token.into())]);
        let answer = self.0.ask(&question).await;
        let answer = answer.map_err(|fault| Fault(fault.to_string()))?;
        route(&answer).map_err(|why| {
            self.0.complain(&why);
            Fault(helper::Fault::Nonsense.to_string())
        })
    }
}

/// Reads an answer; `None` where the token is not known. An error is a sentence for the
/// administrator.
pub(super) fn route(answer: &Fields) -> Result<Option<Route>, String> {
    let target = match answer.get("target") {
        Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) => target(fields)?,
        _ => return Err("target is neither an object nor null".to_owned()),
    };
    let tls = match answer.get("tls") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(tls)) => Some(*tls),
        Some(_) => return Err("tls is neither true nor false".to_owned()),
    };
    let proxy = match codec::text(answer, "proxy")?.as_deref() {
        None => None,
        Some("v1") => Some(ProxyVersion::V1),
        Some("v2") => Some(ProxyVersion::V2),
        Some(_) => return Err("proxy is neither v1 nor v2".to_owned()),
    };
    Ok(Some(Route {
        tls,
        proxy,
        name: codec::text(answer, "name")?.map(Into::into),
        until: until(answer.get("until"))?,
        ..Route::to(target)
    }))
}

fn target(fields: &Fields) -> Result<Target, String> {
    let (host, path) = (codec::text(fields, "host")?, codec::text(fields, "unix")?);
    match (host, path, fields.get("port")) {
        (Some(host), None, Some(port)) => {
            let odd = |it: char| it.is_whitespace() || it.is_control();
            if host.is_empty() || host.contains(odd) {
                return Err("host is not a name or an address".to_owned());
            }
            let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
            let port = port.filter(|port| *port > 0);
            let port = port.ok_or("port is not a number from 1 to 65535")?;
            Ok(Target::Tcp { host, port })
        }
        (None, Some(path), None) if path.starts_with('/') && !path.contains('\0') => {
            Ok(Target::Unix(path.into()))
        }
        (None, Some(_), None) => Err("unix is not an absolute path".to_owned()),
        _ => Err("target has neither host and port nor unix".to_owned()),
    }
}

/// Seconds since 1970, as time(2) has them.
fn until(value: Option<&Value>) -> Result<Option<SystemTime>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let seconds = value.as_f64().map(Duration::try_from_secs_f64);
    match seconds {
        Some(Ok(seconds)) => Ok(SystemTime::UNIX_EPOCH.checked_add(seconds)),
        _ => Err("until is not a number of seconds since 1970".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::route;
    use crate::proxy_protocol::ProxyVersion;
    use crate::route::Route;
    use crate::target::Target;

    fn of(answer: Value) -> Result<Option<Route>, String> {
        match answer {
            Value::Object(fields) => route(&fields),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_target_and_how_to_go_there() {
        assert_eq!(of(json!({"target": null})), Ok(None));
        let bare = Route::to(Target::parse("[2001:db8::1]:5900").unwrap());
        let target = json!({"host": "2001:db8::1", "port": 5900});
        assert_eq!(of(json!({"target": target})), Ok(Some(bare.clone())));
        assert_eq!(
            of(json!({"target": target, "tls": true, "proxy": "v2", "name": "vm 7", "until": 1.5})),
            Ok(Some(Route {
                tls: Some(true),
                proxy: Some(ProxyVersion::V2),
                name: Some("vm 7".into()),
                until: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)),
                ..bare
            }))
        );
        assert_eq!(
            of(json!({"target": {"unix": "/run/vm 7"}, "tls": null})),
            Ok(Some(Route::to(Target::Unix("/run/vm 7".into()))))
        );
    }

    #[test]
    fn what_makes_no_sense_leads_nowhere() {
        for answer in [
            json!({}),
            json!({"target": "h:80"}),
            json!({"target": {}}),
            json!({"target": {"host": "h"}}),
            json!({"target": {"port": 80}}),
            json!({"target": {"host": "", "port": 80}}),
            json!({"target": {"host": "h h", "port": 80}}),
            json!({"target": {"host": "h\n", "port": 80}}),
            json!({"target": {"host": "h", "port": 0}}),
            json!({"target": {"host": "h", "port": 65_536}}),
            json!({"target": {"host": "h", "port": "80"}}),
            json!({"target": {"host": "h", "port": 80, "unix": "/s"}}),
            json!({"target": {"unix": "s"}}),
            json!({"target": {"unix": "/s\0"}}),
            json!({"target": {"unix": "/s"}, "tls": 1}),
            json!({"target": {"unix": "/s"}, "name": 1}),
            json!({"target": {"unix": "/s"}, "until": -1}),
            json!({"target": {"unix": "/s"}, "until": 1e300}),
            json!({"target": {"unix": "/s"}, "until": "tomorrow"}),
        ] {
            assert!(of(answer.clone()).is_err(), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn no_time_or_place_is_too_strange(until: f64, host: String, port: i64, path: String) {
            let _ = of(json!({"target": {"host": host, "port": port}, "until": until}));
            let _ = of(json!({"target": {"unix": path}}));
        }
    }
}
