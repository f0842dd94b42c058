#!/bin/sh
# What a reviewer would ask of every change. Tools that are not here are named, not missed: the
# tests count the first two as skipped.
set -eu
cd "$(dirname -- "$0")/.."
failed=''

# run COMMAND…: goes on after a failure, so that one run shows them all.
run() {
    echo "$ $*"
    "$@" || failed=yes
}

skip() {
    echo "skipped: $1: $2"
    [ -z "${SKIPS:-}" ] || echo "$1: $2" >>"$SKIPS"
}

if cargo fmt --version >/dev/null 2>&1; then
    run cargo fmt --all --check
else
    skip rustfmt 'not in this Rust'
fi
if cargo clippy --version >/dev/null 2>&1; then
    run cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
    run cargo clippy --locked --quiet --no-default-features -- -D warnings
else
    skip clippy 'not in this Rust'
fi
if command -v cargo-deny >/dev/null; then
    # Advisories need a database from the network: a job of its own, not every build's.
    run cargo deny --locked check bans licenses sources
else
    # It takes minutes to build.
    run python3 tools/deny.py
fi
if command -v shellcheck >/dev/null; then
    run shellcheck -x run preload/rebind systemd/websockify-generator systemd/websockify-instance \
        .ci/run tools/*.sh tests/systemd/run tests/systemd/rig tests/systemd/scenario \
        tests/selinux/run tests/selinux/guest tests/costs/run \
        tests/package/build tests/package/build-on-13 tests/package/run debian/crates-copyright debian/*.p[ro]* \
        debian/tests/activation debian/tests/common debian/tests/purge debian/tests/upgrade
else
    echo 'no shellcheck here: the shell scripts are not checked'
fi
if command -v mandoc >/dev/null; then
    run mandoc -T lint -W warning man/*
else
    echo 'no mandoc here: the man pages are not checked'
fi
[ -z "$failed" ]
