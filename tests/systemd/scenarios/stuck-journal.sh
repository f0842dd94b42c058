# A journal that is stuck, stopped or started again holds up no session, and has all records in the end.
target 5900
configure 6061 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@6061.socket
session long 6061
tell long 'before'
recorded=0
# records COUNT: so many more sessions have left theirs. What is logged while there is no journal may
# be without fields: systemd 257 keeps our standard error for the next one.
records() {
    recorded=$((recorded + $1))
    eventually all_recorded
}
all_recorded() {
    local now
    now=$(journal websockify@6061.service | grep -c '^session client=') || true
    [ "$now" = "$recorded" ] || { echo "$now of $recorded"; return 1; }
}
# More than its socket has room for (net.unix.max_dgram_qlen), and less than waits for it here.
journald=$(main_pid systemd-journald.service)
inside kill -STOP "$journald"
succeeds peer edge 6061 --count 800
tell long 'while it is stuck'
inside kill -CONT "$journald"
records 800

sockets=$(inside systemctl list-units --plain --no-legend 'systemd-journald*.socket' | cut -d ' ' -f 1)
# shellcheck disable=SC2086
succeeds inside systemctl stop $sockets systemd-journald.service
succeeds peer edge 6061 --count 50
tell long 'while there is none'
# shellcheck disable=SC2086
succeeds inside systemctl start $sockets systemd-journald.service
records 50

peer edge 6061 --count 200 >"$scratch/edge" 2>&1 &
clients=$!
for _ in 1 2 3; do succeeds inside systemctl restart systemd-journald.service; done
wait "$clients" || fail "$(tail -n 3 "$scratch/edge")"
records 200
tell long 'after all of that'
is websockify@6061.service active
