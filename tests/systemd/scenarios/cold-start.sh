# How long the first client waits: from connect(2) to its first byte back, through a service that is
# not running yet. The figures are printed; the bound only tells a start from a hang. ROUNDS=21 is for
# figures. Where the root has Python's websockify (python3-websockify), it is measured in turn with
# ours: behind a socket unit of the same kind, with systemd-socket-proxyd, because it takes no sockets
# from systemd.
target 5900
configure 6031 'WEBSOCKIFY_TARGET=127.0.0.1:5900' 'WEBSOCKIFY_IDLE_TIMEOUT=0'
succeeds inside systemctl enable --now websockify@6031.socket
theirs=$(path /etc/systemd/system/websockify-python)
if inside /usr/bin/python3 -c 'import websockify' 2>/dev/null; then
    printf '%s\n' '[Socket]' 'ListenStream=6032' 'NoDelay=yes' 'KeepAlive=yes' >"$theirs-proxy.socket"
    printf '%s\n' '[Unit]' 'Requires=websockify-python.service' 'After=websockify-python.service' '[Service]' \
        'ExecStart=/usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:6033' >"$theirs-proxy.service"
    # It does not tell when it listens (port 6033 is 1791), and is not to be connected to before.
    printf '%s\n' '[Service]' 'ExecStart=/usr/bin/python3 -m websockify 127.0.0.1:6033 127.0.0.1:5900' \
        "ExecStartPost=/bin/sh -c 'until grep -q :1791.00000000:0000.0A /proc/net/tcp; do :; done'" >"$theirs.service"
    succeeds inside systemctl daemon-reload
    succeeds inside systemctl start websockify-python-proxy.socket
else
    theirs=''
fi
declare -A seen
# first WHOSE PORT: its first client's wait, in ms.
first() {
    local took
    took=$(peer echo "$2") || fail "not served by $1"
    seen[$1]+="${took% ms} "
}
# spent UNIT: what its start and two sessions cost, in ms of the processor's time.
spent() {
    local main
    main=$(main_pid "$1")
    cat "$(path "/proc/$main/task")"/*/schedstat | awk '{ sum += $1 } END { printf "%.1f", sum / 1e6 }'
}
for _ in $(seq "${ROUNDS:-7}"); do
    first cold 6031
    first warm 6031
    active=$(property websockify@6031.service ActiveEnterTimestampMonotonic)
    # The last thing that the manager does before execve(2); systemd 254 and newer.
    handed=$(property websockify@6031.service ExecMainHandoffTimestampMonotonic)
    [ -z "$handed" ] || seen[ready]+="$(((active - handed) / 100)) "
    seen[spent]+="$(spent websockify@6031.service) "
    succeeds inside systemctl stop websockify@6031.service
    [ -n "$theirs" ] || continue
    first 'cold, Python' 6032
    first 'warm, Python' 6032
    # Its sessions are processes, which have ended.
    seen['spent, Python']+="$(spent websockify-python.service) "
    succeeds inside systemctl stop websockify-python-proxy.service websockify-python.service
done
for what in "${!seen[@]}"; do
    # shellcheck disable=SC2086
    printf '%s\n' ${seen[$what]} | sort -n | awk -v what="$what" '
        { all[NR] = what == "ready" ? $1 / 10 : $1 }
        END { printf "%s: %.1f ms [%.1f-%.1f] of %d\n", what, all[int((NR + 1) / 2)], all[1], all[NR], NR }'
done | sort
echo "load: $(cut -d ' ' -f 1-3 /proc/loadavg)"
[ -z "$theirs" ] || {
    succeeds inside systemctl stop websockify-python-proxy.socket
    rm "$theirs"-proxy.* "$theirs.service"
}
cold=${seen[cold]%% *}
[ "${cold%%.*}" -lt 5000 ] || fail "the first client waited $cold ms"
