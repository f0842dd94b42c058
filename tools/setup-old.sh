#!/bin/sh
# The websockify of 2012 to 2015 as target/old/websockify-VERSION, which the tests hold ours beside,
# and a client of 2011. They need Python 2.7, which Debian 11 was the last to have: its packages are
# unpacked into a folder, and run from there as any user. Does nothing where it is there.
set -eu
root=$(readlink -f -- "$(dirname -- "$0")/..")
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

old=$root/target/old
if cmp -s "$0" "$old/installed" && grep -qF "$old/" "$old/python2.7"; then
    exit 0
fi
want mmdebstrap mmdebstrap
install_missing 'test beside old servers'
echo 'Python 2.7 and old servers for the tests, into target/old:'
rm -rf "$old"
mkdir -p "$old/sources"
mmdebstrap --quiet --variant=extract --include=python2.7 bullseye "$old/debian"
loader=$(echo "$old"/debian/lib/*/ld-2.31.so)
libraries=$(basename "$(dirname "$loader")")
cat >"$old/python2.7" <<END
#!/bin/sh
export PYTHONHOME='$old/debian/usr' PYTHONDONTWRITEBYTECODE=1
exec '$loader' --library-path '$old/debian/lib/$libraries:$old/debian/usr/lib/$libraries' \\
    '$old/debian/usr/bin/python2.7' -u "\$@"
END
chmod 755 "$old/python2.7"

# unpack PACKAGE VERSION SHA256: unpacks it into sources/PACKAGE-VERSION.
unpack() {
    "$root/target/python/bin/python" -m pip download --quiet --disable-pip-version-check \
        --no-deps --no-binary :all: --dest "$old/sources" "$1==$2"
    echo "$3  $old/sources/$1-$2.tar.gz" | sha256sum --check --quiet
    tar --extract --gzip --directory "$old/sources" --file "$old/sources/$1-$2.tar.gz"
}

# server VERSION SHA256
server() {
    unpack websockify "$1" "$2"
    cat >"$old/websockify-$1" <<END
#!/bin/sh
export PYTHONPATH='$old/sources/websockify-$1'
exec '$old/python2.7' -c \\
    'from websockify.websocketproxy import websockify_init; websockify_init()' "\$@"
END
    chmod 755 "$old/websockify-$1"
}

server 0.3.0 e5af73e5d1edee91dbd28bf9fc710b5c23f4183de0e78d5f4fbe68525b53375b
server 0.4.1 6f7095320b109c7f082c9db0dc0456469be5721caa06afb3c2473585aff533d0
server 0.8.0 547d3d98c5081f2dc2872a2e4a3aef33e0ee5141d5f6209204aab2f4a41548d2
unpack websocket-client 0.4 f743ebafd06ef615f6ec0d0b74df9e9c3d377f4e9bd480ad982a7f0d8f4a4e2a
cp "$0" "$old/installed"
