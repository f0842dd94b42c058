# shellcheck shell=sh
# Sourced by the setup scripts: Debian packages for what is missing, and nothing for what is there.

missing=''

# want PROBE PACKAGE…: PROBE is a command, or the path of a file that has to exist.
want() {
    case $1 in
    /*) [ ! -e "$1" ] || return 0 ;;
    *) ! command -v "$1" >/dev/null || return 0 ;;
    esac
    shift
    missing="$missing $*"
}

# as_root COMMAND…
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root and there is no sudo here: $*" >&2
        return 1
    fi
}

refreshed=''

# What install_missing has installed.
installed=''

# refresh_lists: a new machine has no package lists, or old ones that name packages that are gone.
refresh_lists() {
    [ -z "$refreshed" ] || return 0
    refreshed=yes
    as_root apt-get update -qq
}

# install_missing WHAT-FOR: installs what `want` found missing.
install_missing() {
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "To $1, install your system's equivalents of these Debian packages:$missing" >&2
        return 1
    fi
    echo "To $1, installing:$missing"
    refresh_lists
    # Nothing of the machine's owner is removed to make room.
    # shellcheck disable=SC2086 # the list is words
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends --no-remove $missing || {
        echo "To $1, install these packages by hand:$missing" >&2
        return 1
    }
    installed="$installed $missing"
    missing=''
}

# keep_off SERVER…: a package that was just installed starts its server for everybody; what is tested
# or measured starts one of its own.
keep_off() {
    for server in "$@"; do
        case $installed in
        *" $server"*) [ ! -d /run/systemd/system ] || as_root systemctl disable --quiet --now "$server" ;;
        esac
    done
}
