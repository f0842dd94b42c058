//! One program for all targets, because linking is what a build of it costs: TARGET names the one.
#![no_main]

use std::sync::LazyLock;

use websockify::fuzz::TARGETS;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TARGET='{name}' is no target")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
