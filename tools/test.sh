#!/bin/sh
# Every test there is, in stages that print how long they took. A stage that fails does not keep
# the later ones from being run.
set -eu
cd "$(dirname -- "$0")/.."
mkdir -p target

# A test that cannot run on this machine adds a line to this file, `NAME: reason`, and passes.
SKIPS=$PWD/target/skips.txt
export SKIPS
: >"$SKIPS"
stages=target/stages.txt
: >"$stages"
status=0

# stage NAME COMMAND…
stage() {
    name=$1
    shift
    echo "== $name"
    begun=$(date +%s)
    how=ok
    "$@" || how=FAILED
    echo "== $name: $how after $(($(date +%s) - begun)) s" | tee -a "$stages"
    [ "$how" = ok ] || status=1
}

# On CI every skip has been agreed on before, by its name in a file.
judge_skips() {
    [ -s "$SKIPS" ] || return 0
    echo 'Skipped:'
    sort -u "$SKIPS" | sed 's/^/  /'
    [ "${CI:-}" = true ] || return 0
    expected=tests/expected-skips.txt
    [ -e "$expected" ] || expected=/dev/null
    sed 's/: .*//' "$expected" >target/expected
    unexpected=$(sed 's/: .*//' "$SKIPS" | sort -u | grep -vxF -f target/expected) || return 0
    echo 'Not in tests/expected-skips.txt:' "$unexpected"
    return 1
}

stage 'set up' sh -c 'tools/setup-build.sh && tools/setup-test.sh'
[ "$status" = 0 ] || exit 1

: "${WEBSOCKIFY_PYTHON:=$PWD/target/python/bin/websockify}"
: "${PYTHON:=$PWD/target/python/bin/python}"
export WEBSOCKIFY_PYTHON PYTHON

stage 'check' tools/check.sh
stage 'policy for SELinux' tools/selinux.sh
stage 'build' cargo test --locked --no-run --quiet
stage 'test' cargo test --locked --no-fail-fast
stage 'parsers, given changed inputs' env FUZZ_ROUNDS=40000 cargo test --locked --lib fuzz::
stage 'bench, a moment of each line' cargo test --locked --package bench
stage 'test, without features' cargo test --locked --no-default-features --lib token::
stage 'undefined behaviour, by Miri' tools/miri.sh
stage 'instructions' tests/costs/run
stage 'compatibility, against Python websockify' \
    env BRIDGE_UNDER_TEST=theirs cargo test --locked --test it compat::
stage 'in a booted systemd' tests/systemd/run
stage 'the package, built twice' tests/package/build
stage 'the package, in booted systems' tests/package/run

echo
cat "$stages"
judge_skips || status=1
exit "$status"
