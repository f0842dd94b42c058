#!/bin/sh
# Puts the packages that web/package.json names into web/vendor, as npm has them: what is shipped,
# with licence and version. For who changes a version; what comes out is committed.
set -eu
root=$(readlink -f -- "$(dirname -- "$0")/..")
vendor=$root/web/vendor/xterm
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# fetch PACKAGE FILE…: its files, and a line with its version.
fetch() {
    package=$1
    shift
    version=$(sed -n "s|^ *\"$package\": \"\([0-9.]*\)\".*|\1|p" "$root/web/package.json")
    archive=$(cd "$folder" && npm pack --silent "$package@$version")
    tar -xzf "$folder/$archive" -C "$folder"
    for file in "$@"; do
        # Without the reference to a source map, which is as large again and not shipped.
        sed '/^\/\/# sourceMappingURL=/d' "$folder/package/$file" >"$vendor/$(basename "$file")"
    done
    echo "$package $version $(sha256sum <"$folder/$archive" | cut -d ' ' -f 1)" >>"$vendor/VERSIONS"
    rm -rf "$folder/package"
}

rm -rf "$vendor"
mkdir -p "$vendor"
fetch @xterm/xterm lib/xterm.mjs css/xterm.css LICENSE
fetch @xterm/addon-fit lib/addon-fit.mjs
cat "$vendor/VERSIONS"
