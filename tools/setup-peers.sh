#!/bin/sh
# Installs what the bridge is held beside, by tests and by `make bench`: Debian's packages for the
# machine, Python's and Node's into the checkout. Does nothing where it is there.
set -eu
root=$(readlink -f -- "$(dirname -- "$0")/..")
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

want /usr/sbin/haproxy haproxy
want systemd-socket-activate systemd
want node nodejs
want npm npm
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing="$missing python3 python3-venv"
fi
install_missing 'have other bridges beside ours'
keep_off haproxy

# same FILE STAMP: whether what is installed is what FILE asks for now.
same() { cmp -s "$1" "$2"; }

python=$root/target/python
# Its scripts hold their own path: in a checkout that was moved they start no more, or another's.
if ! same "$root/tools/requirements.txt" "$python/installed" ||
    ! grep -qF "$python/" "$python/bin/websockify"; then
    echo 'Python packages, into target/python:'
    rm -rf "$python"
    python3 -m venv "$python"
    "$python/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$root/tools/requirements.txt"
    cp "$root/tools/requirements.txt" "$python/installed"
fi

browser=$root/tests/browser
if [ -e "$browser/package-lock.json" ] &&
    ! same "$browser/package-lock.json" "$browser/node_modules/installed"; then
    echo 'Node packages, into tests/browser/node_modules:'
    (cd "$browser" && npm ci --no-audit --no-fund)
    cp "$browser/package-lock.json" "$browser/node_modules/installed"
fi
