#!/bin/sh
# Measures the bridge beside its peers, and writes the figures into docs/PERFORMANCE.md.
#
#   tools/bench.sh              five rounds (ROUNDS=N), a quarter of an hour on a quiet machine
#   QUICK=yes tools/bench.sh    a look at it: about a minute, and nothing is written
set -eu
root=$(readlink -f -- "$(dirname -- "$0")/..")
cd "$root"
tools/setup-peers.sh
if [ "${QUICK:-}" = yes ]; then
    set -- --rounds 1 --seconds 0.2 --sessions 100
else
    set -- --rounds "${ROUNDS:-5}" --docs docs --values target/bench.tsv
fi
exec cargo run --release --locked --quiet --package bench -- \
    --bridge "${CARGO_TARGET_DIR:-target}/release/websockify" "$@"
