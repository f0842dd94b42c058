#!/bin/sh
# Runs what reads addresses in the library that is preloaded into programs of others, and looks for
# undefined behaviour while it does.
set -eu
cd "$(dirname -- "$0")/.."
if cargo +nightly miri --version >/dev/null 2>&1; then
    cargo +nightly miri test --locked --package rebind --target-dir target/miri
else
    echo 'skipped: miri: not in this Rust'
    [ -z "${SKIPS:-}" ] || echo 'miri: not in this Rust' >>"$SKIPS"
fi
