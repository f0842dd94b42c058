#!/bin/sh
# Fetches the libraries of Cargo.lock into target/vendor, for builds without a network. Does nothing
# where they are there.
set -eu
cd "$(dirname -- "$0")/.."
vendor=target/vendor
cmp -s Cargo.lock "$vendor/fetched" || {
    rm -rf "$vendor"
    cargo vendor --quiet --locked --versioned-dirs "$vendor" >/dev/null
    cp Cargo.lock "$vendor/fetched"
}
