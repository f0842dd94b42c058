#!/bin/sh
# Installs what the tests need beside the build. Does nothing where it is there.
set -eu
root=$(readlink -f -- "$(dirname -- "$0")/..")
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"

# A real browser, a real VNC server with something to show, and noVNC between them.
want chromium chromium
want Xvnc tigervnc-standalone-server
want /usr/share/novnc/utils/novnc_proxy novnc
want vncserver tigervnc-standalone-server
want xauth xauth
want xterm xterm
want /usr/share/fonts/X11/misc xfonts-base
want xsetroot x11-xserver-utils
want ps procps # novnc_proxy watches its bridge with it
want ss iproute2 # who listens where
# Children that end with their parent, with few descriptors, with another /etc/hosts.
want setpriv util-linux
want prlimit util-linux
want unshare util-linux
want mount mount
want strace strace # a slow disk, and counts of system calls
want valgrind valgrind # counts of instructions
# A machine that fails: another time of day, packets that are lost.
want faketime faketime
want nft nftables
want tc iproute2
# Clients.
want curl curl
want openssl openssl
want certutil libnss3-tools # tells Chromium of a test's authority
# Servers to wrap, and the library that Python's websockify wraps them with.
want nc netcat-openbsd
want busybox busybox
want telnet inetutils-telnet
want ssh openssh-client
want /usr/lib/websockify/rebind.so websockify
if [ "${CI:-}" = true ]; then
    # Each opens a port on the machine for good: that is for its owner to want. Tests do without.
    want /usr/sbin/telnetd inetutils-telnetd
    want /usr/sbin/sshd openssh-server
fi
# Proxies before and behind the bridge, beside HAProxy.
want /usr/sbin/nginx nginx
want caddy caddy
want pebble pebble # gives certbot certificates
want fail2ban-regex fail2ban
# Debian 12 and 13, booted in containers.
want mmdebstrap mmdebstrap
want systemd-nspawn systemd-container
want /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
# What a fleet of bridges shares, and what stands before it.
want redis-server redis-server
want redis-cli redis-tools
want /usr/sbin/telnetd inetutils-telnetd # leaves telnet off in inetd's file
want login login
want /usr/sbin/rsyslogd rsyslog
want /usr/sbin/logrotate logrotate
want htpasswd apache2-utils
want shellcheck shellcheck
# The package, and who reads it first.
want dpkg-buildpackage dpkg-dev
want dh debhelper
want lintian lintian
# Debian's policy, to put ours beside it and ask what comes of that; it needs no SELinux.
want /usr/share/selinux/devel/Makefile selinux-policy-dev
want /etc/selinux/default selinux-policy-default
want checkmodule checkpolicy
want selint selint
want semodule policycoreutils
want sesearch setools
want man man-db # renders the manual
want mandoc mandoc
# What is typed is completed by them.
want zsh zsh
want fish fish
# Debian has its format and lint tools in packages of their own, beside the Rust they are made for.
if command -v dpkg-query >/dev/null; then
    case $(dpkg-query -S "$(command -v cargo)" 2>/dev/null) in
    cargo-web:*)
        want rustfmt rustfmt-web
        want cargo-clippy rust-web-clippy
        ;;
    cargo:*)
        want rustfmt rustfmt
        want cargo-clippy rust-clippy
        ;;
    esac
fi
install_missing 'run the tests'
keep_off nginx caddy
# Miri is for nightly Rusts only; without one its stage is left out.
if command -v rustup >/dev/null && rustup toolchain list | grep -q '^nightly'; then
    rustup component add --toolchain nightly miri rust-src >/dev/null 2>&1 || true
fi

"$root/tools/setup-peers.sh"
python=$root/target/python
# Python's package has none, and looks for it here.
mkdir -p "$python/lib/websockify"
ln -sf /usr/lib/websockify/rebind.so "$python/lib/websockify/rebind.so"

# Without them a test is skipped, so a machine that cannot have them runs the others.
"$root/tools/setup-old.sh" || echo 'No old servers here: what is compared with them is skipped.' >&2
