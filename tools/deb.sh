#!/bin/sh
# Builds the Debian package from this checkout into target/deb (or FOLDER), offline once the
# libraries have been fetched.
#
#   tools/deb.sh [FOLDER]
set -eu
root=$(readlink -f -- "$(dirname -- "$0")/..")
mkdir -p "${1:-$root/target/deb}"
folder=$(readlink -f -- "${1:-$root/target/deb}")
"$root/tools/setup-build.sh"
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
want dpkg-buildpackage dpkg-dev
want dh debhelper
want /usr/share/selinux/devel/Makefile selinux-policy-dev
install_missing 'build the package'

"$root/tools/vendor-crates.sh"
vendor=$root/target/vendor

profiles=${DEB_BUILD_PROFILES:-}
dpkg-query -S "$(command -v cargo)" >/dev/null 2>&1 || profiles="$profiles pkg.websockify.rustup"

# Of the sources only: dpkg-buildpackage leaves much in its folder, and the package in the one above.
build=$folder/build/websockify
rm -rf "$folder/build"
mkdir -p "$build"
(cd "$root" && tar --create --exclude=./target --exclude=./.git --exclude=node_modules .) |
    tar --extract --directory="$build"
(
    cd "$build"
    # A cross-build, another folder for what is built: not here.
    unset CARGO_TARGET_DIR CARGO_BUILD_TARGET MAKEFLAGS MAKELEVEL
    VENDOR=$vendor DEB_BUILD_PROFILES=$profiles nice dpkg-buildpackage --unsigned-source \
        --unsigned-changes --build=binary
)
mv "$folder"/build/*.deb "$folder"/build/*.changes "$folder"/build/*.buildinfo "$folder"
rm -rf "$build"
