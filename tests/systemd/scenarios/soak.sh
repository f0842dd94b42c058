# Clients of every kind, for SOAK seconds (300), while certificates are renewed, tokens change and the
# service is reloaded, then also restarted and killed: no byte is wrong, nobody is refused, nothing is
# lost but what docs/SURVIVAL.md says, and nothing piles up. docs/SOAK.md has what was measured.
length=${SOAK:-300}
# The number is in no other scenario, which may be running beside this one in a container of its own,
# with the same control groups.
name=61$RELEASE
service=websockify@$name.service

configure "$name" 'WEBSOCKIFY_TOKEN_PLUGIN=TokenFile' 'WEBSOCKIFY_TOKEN_SOURCE=/etc/websockify/soak/tokens' \
    'WEBSOCKIFY_CERT=/etc/ssl/test/soak.pem' 'WEBSOCKIFY_KEY=/etc/ssl/test/soak.key' \
    'WEBSOCKIFY_WEB=/srv/soak' 'WEBSOCKIFY_HEALTH_PATH=/health' 'WEBSOCKIFY_METRICS_PATH=/metrics' \
    'WEBSOCKIFY_IDLE_TIMEOUT=0' 'WEBSOCKIFY_DRAIN_TIMEOUT=2'
certificate soak localhost
succeeds inside install -d /srv/soak
succeeds inside install -d -m 750 -g _websockify /etc/websockify/soak

generation=0
# tokens: a new list. One token is new in it, and that of the last list is gone.
tokens() {
    generation=$((generation + 1))
    printf '%s\n' 'port: localhost:5900' 'socket: unix_socket:/run/soak.sock' "new-$generation: localhost:5900" \
        >"$(path /etc/websockify/soak/next)"
    inside chmod 640 /etc/websockify/soak/next
    inside chgrp _websockify /etc/websockify/soak/next
    inside mv /etc/websockify/soak/next /etc/websockify/soak/tokens
}
change_tokens() {
    tokens
    eventually peer echo "$name" --path "/?token=new-$generation"
    fails 1 peer echo "$name" --path "/?token=new-$((generation - 1))"
}
reload() { succeeds inside systemctl reload "$service"; }
renew() {
    certificate soak localhost
    reload
    eventually peer echo "$name" --tls "$(path /etc/ssl/test/soak.pem)" --path '/?token=port'
}
restart() { succeeds inside systemctl restart "$service"; }
kill_it() { end_by "$service" -KILL; }
list() { succeeds inside websockify ctl --control-socket "/run/websockify/$name/control" list; }
reload_manager() { succeeds inside systemctl daemon-reload; }

# during PHASE PERCENT EVENT…: events in turn, each at least once, until so much of the whole time is over.
during() {
    local phase=$1 until=$((begun + length * $2 / 100)) events=("${@:3}") round
    for ((round = 0; round < ${#events[@]} || SECONDS < until; round++)); do
        "${events[round % ${#events[@]}]}"
        moves "$phase-$round"
        # Not as fast as they can: sessions are to live through several processes, and be young in some.
        sleep 2
    done
    counted "$phase-rest"
    measure "$phase"
}
# measure PHASE: what the service has when nobody is there.
declare -A pid rss pss threads files store manager_files
measure() {
    local proc now last='' since=$SECONDS begun=$SECONDS
    proc=$(path /proc)
    pid[$1]=$(main_pid "$service")
    # Freed memory goes back after five seconds.
    while [ $((SECONDS - since)) -lt 8 ] && [ $((SECONDS - begun)) -lt 60 ]; do
        rss[$1]=$(awk '/^Rss:/ { print $2 }' "$proc/${pid[$1]}/smaps_rollup")
        pss[$1]=$(awk '/^Pss:/ { print $2 }' "$proc/${pid[$1]}/smaps_rollup")
        threads[$1]=$(find "$proc/${pid[$1]}/task" -mindepth 1 -maxdepth 1 | wc -l)
        files[$1]=$(find "$proc/${pid[$1]}/fd" -mindepth 1 | wc -l)
        store[$1]=$(property "$service" NFileDescriptorStore)
        manager_files[$1]=$(find "$proc/1/fd" -mindepth 1 | wc -l)
        now="${rss[$1]} ${pss[$1]} ${threads[$1]} ${files[$1]} ${store[$1]}"
        [ "$now" = "$last" ] || since=$SECONDS last=$now
        sleep 1
    done
}

begun=$SECONDS
tokens
succeeds inside systemctl enable --now "websockify@$name.socket"
peers soak "$name" 5900 "$(path /run/soak.sock)" "$(path /srv/soak/page)" 24
# What is reloaded while it starts is not, for systemd.
eventually state_is "$service" active

calm=(renew change_tokens reload list change_tokens reload_manager)
# Everything has been done once before it is first measured: libraries keep what they make at first.
during warm 25 "${calm[@]}"
during calm 60 "${calm[@]}"
AS=many session kept "$name" --path '/?token=port' --count 5
# hold WHEN: what was at rest goes on.
hold() { (WAIT=30 tell kept "$1") || fail "$1: $(cat "$scratch/kept.out"; journal "$service" | grep -v '^session ' | tail -n 30)"; }
hold 'before it is restarted'
during restart 78 restart change_tokens restart renew restart reload_manager
hold 'after that'
# Not at once: they have just been spoken to, and are to be at rest.
during kill 93 change_tokens kill_it restart kill_it renew
hold 'after it was killed'
exec {session_in[kept]}>&-
WAIT=20
stored_nothing() {
    [ "$(property "$service" NFileDescriptorStore)" = 0 ] || {
        status_line "$service"
        return 1
    }
}
eventually stored_nothing
measure kill

line() { printf '%-8s %8s %9s %7s %8s %11s %11s %11s %8s\n' "$@"; }
line phase done MB wrong refused unanswered lost lost_tls echo_ms
for phase in warm calm restart kill; do
    done=0
    for kind in echo up down both idle stalled reset page stranger touch; do
        done=$((done + $(total "$phase" "$kind")))
    done
    line "$phase" "$done" "$(($(total "$phase" right_bytes) / 1000000))" "$(total "$phase" wrong)" \
        "$(total "$phase" refused)" "$(total "$phase" unanswered)/$(total "$phase" unanswered_tls)" \
        "$(total "$phase" lost)" "$(total "$phase" lost_tls)" "$(total "$phase" worst_echo_ms)"
done
line after process rss_KiB pss_KiB threads descriptors stored manager ''
for phase in warm calm restart kill; do
    line "$phase" "${pid[$phase]}" "${rss[$phase]}" "${pss[$phase]}" "${threads[$phase]}" "${files[$phase]}" \
        "${store[$phase]}" "${manager_files[$phase]}" ''
done

none warm wrong refused unanswered unanswered_tls lost lost_tls
none calm wrong refused unanswered unanswered_tls lost lost_tls
# Here there is no TLS in the kernel, so what is inside it ends with its process.
none restart wrong refused unanswered lost
none kill wrong refused

# flat PHASE VALUE FIRST MORE WHAT
flat() { [ "$2" -le $(($3 + $4)) ] || fail "$5 after $1: $2, and $3 after the first clients"; }
[ "${pid[calm]}" = "${pid[warm]}" ] || fail 'the service was another process meanwhile'
for phase in calm restart kill; do
    # A stretch moves it by some hundred KiB either way, however long it is: which pages of its heap the
    # last clients have left half used. What piles up passes a MiB, if only by what a session needs.
    # Threads for files stay: as many as there ever were files to read at once, and each has a heap.
    more=$((threads[$phase] > threads[warm] ? threads[$phase] - threads[warm] : 0))
    flat "$phase" "${threads[$phase]}" "${threads[warm]}" 8 threads
    flat "$phase" "${rss[$phase]}" "${rss[warm]}" $((1024 + 256 * more)) 'KiB of memory (RSS)'
    flat "$phase" "${pss[$phase]}" "${pss[warm]}" $((1024 + 256 * more)) 'KiB of memory (PSS)'
    # Five sessions are kept through the restarts, with three descriptors each, here and with systemd.
    [ "$phase" = restart ] && kept=15 || kept=0
    flat "$phase" "${files[$phase]}" "${files[warm]}" "$kept" descriptors
    [ "${store[$phase]}" = "$kept" ] || fail "descriptors that systemd keeps after $phase: ${store[$phase]}"
    # Of its own it opens one more now and then, for a moment.
    flat "$phase" "${manager_files[$phase]}" "${manager_files[warm]}" $((kept + 4)) "descriptors of systemd's"
done
