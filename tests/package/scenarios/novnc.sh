# Debian's novnc, with our program for its own: in a browser, and by its start script.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
succeeds apt install "$ours" novnc
has_version "$version"
# program NAME LINE…: one that Node's tests can start here, which runs in the system.
program() {
    {
        cat <<HEAD
#!/bin/bash
# nsenter's child is in a namespace of processes of its own; a signal does not get there by itself.
trap 'kill -TERM \$(pgrep --parent \$child)' TERM
run() {
    nsenter -t $INIT -m -u -i -n -p -C -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "\$@" &
    child=\$!
    local status=0
    while [ -e /proc/\$child ]; do
        wait \$child && status=0 || status=\$?
    done
    return \$status
}
HEAD
        printf '%s\n' "${@:2}"
    } >"$scratch/$1"
    chmod 755 "$scratch/$1"
}
program websockify 'run websockify "$@"'
# What novnc.mjs asks a bridge for: [ADDRESS:]PORT, HOST:PORT, --web.
program novnc_proxy 'run bash /usr/share/novnc/utils/novnc_proxy --listen "${1##*:}" --vnc "$2" || true'
browser() { nsenter -t "$INIT" -n -- node "tests/browser/$1.mjs" --bridge "$scratch/$2" --novnc /usr/share/novnc; }
browser novnc websockify
browser novnc novnc_proxy
