//! What `fuzz/` feeds, in its builds only: every parser here whose input somebody else writes.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Request;

use super::{From, Template, jwt, table};

/// A token as it is, and one whose parts are the lines of `data`.
pub fn jwt(data: &[u8]) {
    jwt::fuzz(&String::from_utf8_lossy(data));
    let parts = data.split(|byte| *byte == b'\n');
    let parts: Vec<String> = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    jwt::fuzz(&parts.join("."));
}

/// The source of TokenRedis.
pub fn redis_source(data: &[u8]) {
    let _ = super::RedisSource::parse(&String::from_utf8_lossy(data));
}

/// The source of the APIs in the first line, and a token in the others.
pub fn api_source(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (source, token) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(template) = Template::parse(source) {
        template.fuzz(token);
    }
}

/// A file of tokens.
pub fn token_file(data: &[u8]) {
    let _ = table::parse_lines(data, &mut HashMap::new());
}

/// The target of a request: where a token may be.
pub fn request_target(data: &[u8]) {
    if let Ok(request) = Request::get(data).header("Host", data).body(()) {
        for from in [From::Query, From::Path, From::Host] {
            let _ = from.token(&request);
        }
    }
}
