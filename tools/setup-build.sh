#!/bin/sh
# Installs what `cargo build` needs, on Debian 12 or newer; does nothing where it is there.
set -eu
# shellcheck source=tools/packages.sh
. "$(dirname -- "$0")/packages.sh"

wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' "$(dirname -- "$0")/../Cargo.toml")

# at_least HAVE WANTED
at_least() { printf '%s\n%s\n' "$2" "$1" | sort -C -V; }

has_cargo() {
    command -v cargo >/dev/null && command -v rustc >/dev/null &&
        version=$(rustc --version | cut -d ' ' -f 2) && at_least "$version" "$wanted"
}

candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9]\)/\1/p'; }

if ! has_cargo; then
    if [ -n "${version:-}" ]; then
        echo "rustc here is $version; the bridge needs $wanted."
    fi
    if command -v rustup >/dev/null; then
        echo "This Rust is rustup's: 'rustup update stable' brings a newer one." >&2
        exit 1
    fi
    # Debian 12 has two: its first Rust, 1.63, and a newer one that it builds its browsers with.
    ! command -v apt-cache >/dev/null || refresh_lists
    missing='cargo rustc'
    if ! at_least "$(candidate rustc)" "$wanted" && at_least "$(candidate rustc-web)" "$wanted"; then
        missing='cargo-web rustc-web'
    fi
fi
# rustup brings no linker.
want cc gcc libc6-dev
# OpenSSL is the system's; a cross-build names its own.
if [ -z "${OPENSSL_DIR:-}${OPENSSL_LIB_DIR:-}" ]; then
    want pkg-config pkg-config
    pkg-config --exists 'openssl >= 3' 2>/dev/null || missing="$missing libssl-dev"
fi
# cargo fetches over HTTPS.
want /etc/ssl/certs/ca-certificates.crt ca-certificates
install_missing 'build the bridge'
