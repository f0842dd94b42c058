# Sessions outlive the process: systemd holds their descriptors and their files in memory, and gives
# them to the next, which goes on with what is in there and with the recording; over a restart, over
# SIGKILL at rest, and to targets of either kind. tests/systemd/scenarios/survival.sh counts bytes.
target 5900
target /run/target.sock
mkdir -p /var/lib/websockify/6091
restorecon -RF /var/lib/websockify
configure 6091 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_RECORD=/var/lib/websockify/6091/session'
configure 6092 'WEBSOCKIFY_UNIX_TARGET=/run/target.sock'
override websockify@6091.service '[Service]' 'StateDirectory=websockify/%i'
for port in 6091 6092; do
    succeeds inside systemctl enable --now "websockify@$port.socket"
    session "$port" "$port"
    tell "$port" 'by the first process'
done

# started_anew PORT: another process than `before`.
started_anew() {
    local now
    now=$(main_pid "websockify@$1.service")
    [ "$now" != 0 ] && [ "$now" != "$before" ] && [ "$(property "websockify@$1.service" SubState)" = running ]
}
# memory_of UNIT: the labels of its sessions' files in memory.
memory_of() {
    local memory
    for memory in "/proc/$(main_pid "$1")"/fd/*; do
        [[ $(readlink "$memory") != */memfd:websockify-session* ]] || stat --dereference --format=%C "$memory"
    done
}
for port in 6091 6092; do
    unit=websockify@$port.service
    before=$(main_pid "$unit")
    succeeds inside systemctl restart "$unit"
    started_anew "$port" || fail "$unit is the process it was"
    tell "$port" 'by the second'
    contains "$(memory_of "$unit")" websockifyd_tmpfs_t || fail "in memory: $(memory_of "$unit")"
    eventually at_rest "$unit"
    before=$(main_pid "$unit")
    inside kill -KILL "$before"
    eventually started_anew "$port"
    tell "$port" 'by the third'
    served "$port"
done

recording=/var/lib/websockify/6091/session.1
for process in first second third; do
    grep -q "by the $process" "$recording" || fail "the $process process recorded nothing: $(cat "$recording")"
done
succeeds inside systemctl stop websockify@6091.socket websockify@6091.service
ended 6091 'closed 1001'
never_says websockify@6091.service 'ended early'
