#!/bin/sh
# The tests, built so that bad memory accesses and races show themselves: an hour or more, so not in
# `make test`. docs/SANITIZERS.md has the results.
#
#   tools/sanitize.sh [address|thread|memcheck]... [-- WORDS FOR THE TESTS]
#
# Any stable Rust does for address and memcheck. thread needs the standard library built with it, so a
# nightly one with rust-src; without that, the compiler is told to mix, and says more than is so.
set -eu
cd "$(dirname -- "$0")/.."

host=$(rustc --print host-tuple 2>/dev/null || rustc -vV | sed -n 's/^host: //p')
base=${CARGO_TARGET_DIR:-$PWD/target}
failed=''
kinds=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    kinds="$kinds $1"
    shift
done
[ $# = 0 ] || shift

# What stands in the way of the tests, not of the program:
# - a library that is preloaded into others would have to come behind the sanitizer's (wrap, real,
#   readme);
# - limits on memory and descriptors are below what a sanitizer takes (limits);
# - what is looked at is no program of ours, or needs a manager (manual, completions, service, instance,
#   survival).
# - three more, for the reasons in docs/SANITIZERS.md.
SKIPPED='wrap:: limits:: manual:: readme:: service:: survival:: real:: instance:: completions::
    inherited::a_client_that_came last_bytes::a_frame_of_64 legacy::hixie::megabytes'

# tests NAME WORDS…: the unit tests and those from outside.
tests() {
    name=$1
    shift
    export CARGO_TARGET_DIR="$base/$name"
    echo "== $name: unit tests"
    # shellcheck disable=SC2086 # words
    cargo "$@" --lib -- $words || failed="$failed $name"
    echo "== $name: tests from outside"
    # A process cannot look for leaks from inside our sandbox.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    skips=''
    for skipped in $SKIPPED; do skips="$skips --skip $skipped"; done
    # shellcheck disable=SC2086 # words
    cargo "$@" --test it -- $skips $words || failed="$failed $name"
}

words=$*
for kind in ${kinds:-address thread memcheck}; do
    case $kind in
    address)
        export RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Cforce-frame-pointers=yes'
        export ASAN_OPTIONS=detect_odr_violation=0
        tests address test --locked --target "$host"
        ;;
    thread)
        export RUSTFLAGS='-Zsanitizer=thread -Cforce-frame-pointers=yes'
        if [ -e "$(rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library" ]; then
            tests thread +nightly test --locked --target "$host" -Zbuild-std
        else
            export RUSTC_BOOTSTRAP=1
            export RUSTFLAGS="$RUSTFLAGS -Cunsafe-allow-abi-mismatch=sanitizer"
            tests thread test --locked --target "$host"
        fi
        ;;
    memcheck)
        unset RUSTC_BOOTSTRAP
        # rustix finds the kernel's own functions by a table that valgrind hides, and reads beyond it.
        export RUSTFLAGS='--cfg=rustix_use_libc' CARGO_TARGET_DIR="$base/memcheck"
        program=$(cargo test --locked --lib --no-run --message-format short 2>&1 |
            sed -n 's/.*(\(.*deps\/websockify-[0-9a-f]*\))$/\1/p')
        echo "== memcheck: unit tests"
        # shellcheck disable=SC2086 # words
        valgrind --quiet --error-exitcode=99 --leak-check=no "$program" --test-threads=1 $words ||
            failed="$failed memcheck"
        ;;
    *)
        echo "tools/sanitize.sh: there is no '$kind': address, thread, memcheck" >&2
        exit 2
        ;;
    esac
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
