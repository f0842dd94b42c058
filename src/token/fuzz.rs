//! Tokens, and where they are known.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Request;
use serde_json::Value;

use super::{From, Template, exec, json, jwt, table};
use crate::target::Target;

/// A token as it is, and one whose parts are the lines of `data`.
pub(crate) fn jwt(data: &[u8]) {
    jwt::fuzz(&String::from_utf8_lossy(data));
    let parts = data.split(|byte| *byte == b'\n');
    let parts: Vec<String> = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    jwt::fuzz(&parts.join("."));
}

/// The source of TokenRedis, in a build that has it.
#[cfg_attr(not(feature = "redis"), expect(unused_variables))]
pub(crate) fn redis_source(data: &[u8]) {
    #[cfg(feature = "redis")]
    let _ = super::RedisSource::parse(&String::from_utf8_lossy(data));
}

/// The source of the APIs in the first line, and a token in the others.
pub(crate) fn api_source(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (source, token) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(template) = Template::parse(source) {
        template.fuzz(token);
    }
}

/// What is said of a token: as text, as JSON by Redis or a server, as JSON by a helper.
pub(crate) fn api_answer(data: &[u8]) {
    if let Ok(Value::Object(object)) = serde_json::from_slice(data) {
        let _ = json::host_and_port(&object);
        if let Ok(Some(route)) = exec::route(&object) {
            let target = &object["target"];
            match route.target {
                Target::Tcp { host, port } => {
                    assert!(target["host"] == host && target["port"] == port);
                }
                Target::Unix(path) => assert_eq!(target["unix"].as_str(), path.to_str()),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A file of tokens.
pub(crate) fn token_file(data: &[u8]) {
    let _ = table::parse_lines(data, &mut HashMap::new());
}

/// The target of a request: where a token may be.
pub(crate) fn request_target(data: &[u8]) {
    if let Ok(request) = Request::get(data).header("Host", data).body(()) {
        for from in [From::Query, From::Path, From::Host] {
            let _ = from.token(&request);
        }
    }
}
