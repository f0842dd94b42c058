#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| websockify::token::fuzz::request_target(data));
