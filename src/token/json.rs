//! What JSON says of a target.

use serde_json::{Map, Value};

use crate::route::Route;

/// Reads `host` and `port`, as websockify does: a port may be text, and where the host is
/// `unix_socket` it is a path. Other fields are for others.
///
/// # Errors
/// What is missing or wrong, without any part of it.
pub(super) fn host_and_port(object: &Map<String, Value>) -> Result<Route, &'static str> {
    let Some(Value::String(host)) = object.get("host") else {
        return Err("host is no text");
    };
    match object.get("port") {
        Some(Value::String(port)) => Route::parse(&format!("{host}:{port}")),
        Some(Value::Number(port)) => Route::parse(&format!("{host}:{port}")),
        _ => Err("port is neither a number nor a text"),
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn hosts_and_ports() {
        for (text, shown) in [
            ("{\"host\":\"h\",\"port\":80,\"more\":[]}", Some("h:80")),
            ("{\"host\":\"h\",\"port\":\"80\"}", Some("h:80")),
            ("{\"host\":\"::1\",\"port\":80}", Some("[::1]:80")),
            ("{\"host\":\"[::1]\",\"port\":80}", Some("[::1]:80")),
            (
                "{\"host\":\"unix_socket\",\"port\":\"/s\"}",
                Some("unix:/s"),
            ),
            ("{\"host\":\"unix_socket\",\"port\":80}", None),
            ("{\"host\":\"h\",\"port\":8.5}", None),
            ("{\"host\":\"h\",\"port\":-1}", None),
            ("{\"host\":\"h\",\"port\":true}", None),
            ("{\"host\":\"h\"}", None),
            ("{\"port\":80}", None),
            ("{\"host\":1,\"port\":80}", None),
        ] {
            let route = host_and_port(&serde_json::from_str(text).unwrap());
            assert_eq!(
                route.ok().map(|it| it.to_string()).as_deref(),
                shown,
                "{text}"
            );
        }
    }
}
