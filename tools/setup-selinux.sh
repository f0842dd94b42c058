#!/bin/sh
# Installs what `make selinux` and `make test-selinux` need: Debian's policy to build against, and an
# emulated machine with what makes its disk.
set -eu
# shellcheck source=tools/packages.sh
. "$(dirname -- "$0")/packages.sh"
want /usr/share/selinux/devel/Makefile selinux-policy-dev
want checkmodule checkpolicy
want setfiles policycoreutils
want mmdebstrap mmdebstrap
want /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
want mke2fs e2fsprogs
want qemu-system-x86_64 qemu-system-x86 seabios ipxe-qemu
install_missing 'try the policy for SELinux'
