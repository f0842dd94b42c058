# More sessions than a process may have files open by default: systemd can start the next one with all
# of them. SESSIONS=1300 is for figures: what they cost, also of the manager's own processor time.
count=${SESSIONS:-400}
ulimit -n 16384
target 5900
configure 6045 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@6045.socket

# cost NAME COMMAND…: prints how long it takes, and how much the manager works meanwhile.
cost() {
    local begun worked
    begun=$(date +%s%N) worked=$(cut -d ' ' -f 1 "/proc/$INIT/schedstat")
    "${@:2}"
    printf '%s: %d ms, of the manager %d ms\n' "$1" $((($(date +%s%N) - begun) / 1000000)) \
        $((($(cut -d ' ' -f 1 "/proc/$INIT/schedstat") - worked) / 1000000))
}
stored() {
    local now
    now=$(property websockify@6045.service NFileDescriptorStore)
    [ "$now" = "$1" ] || { echo "there are $now: $(status_line websockify@6045.service)"; return 1; }
}
# A hundred at a time: of more at once the manager does not take all within our patience.
begin() {
    AS=many session "many-$1" 6045 --count 100
    eventually stored $((3 * ($1 + 100)))
}
each() {
    local from
    for ((from = 0; from < count; from += 100)); do "$1" "$from" "${@:2}"; done
}
tell_hundred() { tell "many-$1" "$2"; }
end() {
    each end_hundred
    eventually stored 0
}
end_hundred() { exec {session_in[many-$1]}>&-; }
served 6045
cost 'reload of the manager, no session' succeeds inside systemctl daemon-reload
cost 'restart, no session' succeeds inside systemctl restart websockify@6045.service
for ((from = 0; from < count; from += 100)); do
    cost "sessions $from to $((from + 100)) begin" begin "$from"
done
each tell_hundred before
cost "reload of the manager, $count sessions" succeeds inside systemctl daemon-reload
each tell_hundred 'after a reload'
cost "restart, $count sessions" succeeds inside systemctl restart websockify@6045.service
says websockify@6045.service "$count of $count sessions of the process before go on"
each tell_hundred 'after a restart'
eventually at_rest websockify@6045.service
before=$(property websockify@6045.service NRestarts)
inside systemctl kill --signal=KILL websockify@6045.service
again() { [ "$(property websockify@6045.service NRestarts)" -gt "$before" ]; }
eventually again
each tell_hundred 'after a kill'
cost "$count sessions end" end
