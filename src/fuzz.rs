//! What `fuzz/` feeds: a function for every parser here whose input a peer or somebody's file is.
//! Each takes any bytes, and panics where our answer is not the one of an oracle: another reader of
//! the same format, the same bytes in other pieces, or what was written before it was read.
//!
//! libFuzzer finds inputs (`tools/fuzz.sh`); `cargo test` runs the seeds, what was found with them, and
//! a few thousand changes of both (`fuzz/README.md`).

use crate::{
    auth, handover, helper, http, instance, log, proxies, proxy_protocol, record, target, token,
    websocket, wrap,
};

macro_rules! targets {
    ($($name:ident: $run:path, $what:literal;)*) => {
        /// Each by its name, in the order in which a byte meets them.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $run)),*];

        #[cfg(test)]
        mod each {
            $(
                #[doc = $what]
                #[test]
                fn $name() {
                    super::replay::replay(stringify!($name));
                }
            )*
        }
    };
}

targets! {
    request_head: http::fuzz::request_head, "HTTP/1.1 requests, whole and in pieces.";
    upgrade: websocket::fuzz::upgrade, "A request for a WebSocket, of today and of old.";
    frames_in: websocket::fuzz::frames_in, "A client's frames, as tungstenite reads them.";
    frames_out: websocket::fuzz::frames_out, "Our frames, as tungstenite reads them.";
    close_payload: websocket::fuzz::close_payload, "What is in a close frame.";
    base64_stream: websocket::fuzz::base64_stream, "Base64 in pieces, as the crate reads it whole.";
    hixie_frames: websocket::fuzz::hixie_frames, "Frames from before RFC 6455.";
    authorization: auth::fuzz::authorization, "Basic credentials.";
    htpasswd: auth::fuzz::htpasswd, "A password file.";
    cookie: auth::fuzz::cookie, "Cookies, which nobody can make but us.";
    origin: auth::fuzz::origin, "A list of origins, and an origin.";
    forwarded: proxies::fuzz::forwarded, "Headers of proxies behind those that a client made up.";
    trusted: proxies::fuzz::trusted, "Networks of trusted proxies.";
    proxy_header: proxy_protocol::fuzz::proxy_header, "The PROXY protocol, both versions.";
    helper_lines: helper::fuzz::helper_lines, "A helper's answers, in pieces.";
    helper_verdict: auth::fuzz::helper_verdict, "What a helper says of a client.";
    environment_file: instance::fuzz::environment_file, "An instance's file, as systemd reads it.";
    generator: instance::fuzz::generator, "The drop-ins that come of an instance's file.";
    recording: record::fuzz::recording, "A recording, as JavaScript reads it.";
    file_path: http::fuzz::file_path, "Paths of requests for files.";
    file_range: http::fuzz::file_range, "Requests for files, with ranges and conditions.";
    log_text: log::fuzz::log_text, "A peer's text in the log.";
    target_text: target::fuzz::target_text, "Targets, and the walls around them.";
    program_file: wrap::fuzz::program_file, "The beginning of a program's file.";
    supervisor_line: wrap::fuzz::supervisor_line, "What the supervisor says.";
    session_state: handover::state::fuzz, "A session's state from another process.";
    jwt: token::fuzz::jwt, "A signed or encrypted token.";
    redis_source: token::fuzz::redis_source, "The source of TokenRedis.";
    api_source: token::fuzz::api_source, "The source of the token APIs, and a token.";
    api_answer: token::fuzz::api_answer, "What a server, Redis or a helper says of a token.";
    token_file: token::fuzz::token_file, "A file of tokens.";
    request_target: token::fuzz::request_target, "Where in a request a token is.";
}

/// Takes parts of an input off its front.
pub(crate) struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    pub(crate) fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// As many bytes as one says.
    pub(crate) fn bytes(&mut self) -> &'d [u8] {
        let size = usize::from(self.byte()).min(self.0.len());
        let (front, rest) = self.0.split_at(size);
        self.0 = rest;
        front
    }

    /// What stands before the next end of a line.
    pub(crate) fn line(&mut self) -> &'d [u8] {
        let mut parts = self.0.splitn(2, |byte| *byte == b'\n');
        let line = parts.next().unwrap_or_default();
        self.0 = parts.next().unwrap_or_default();
        line
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'d [u8] {
        self.0
    }

    /// Up to seven places to cut at: how many, then two bytes each.
    pub(crate) fn cuts(&mut self) -> Vec<usize> {
        let count = self.byte() % 8;
        let place = |_| usize::from(self.byte()) << 8 | usize::from(self.byte());
        (0..count).map(place).collect()
    }
}

/// The stream in pieces.
pub(crate) fn pieces<'s>(stream: &'s [u8], cuts: &[usize]) -> impl Iterator<Item = &'s [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut from = 0;
    ends.into_iter()
        .map(move |end| &stream[std::mem::replace(&mut from, end)..end])
}

#[cfg(test)]
mod replay;
