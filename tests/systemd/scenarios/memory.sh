# The service has no memory left: it is killed, and goes on where it was.
target 5900
configure 6062 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@6062.socket
session long 6062
tell long 'before'
eventually at_rest websockify@6062.service
# The manager in a container has no say in memory everywhere: the limit is set from outside, as
# MemoryMax= does it.
for group in /sys/fs/cgroup /sys/fs/cgroup/memory; do
    for limit in memory.max memory.limit_in_bytes; do
        mkdir -p "$group/websockify-$$" 2>/dev/null || continue
        [ ! -e "$group/websockify-$$/$limit" ] || break 2
        rmdir "$group/websockify-$$"
    done
done
group=$group/websockify-$$
[ -e "$group/$limit" ] || fail 'memory cannot be limited here'
# In this namespace the process has another number.
before=$(main_pid websockify@6062.service)
for process in /proc/[0-9]*; do
    [ "$(readlink "$process/ns/pid")" != "$(readlink "/proc/$INIT/ns/pid")" ] ||
        [ "$(awk '/^NSpid:/ { print $NF }' "$process/status")" != "$before" ] || break
done
echo 8M >"$group/$limit"
echo "${process#/proc/}" >"$group/cgroup.procs"
# Requests that are never whole: as large as they may be, each.
peer greedy 6062 --count 1000 >"$scratch/greedy" 2>&1 &
started_anew() { [ "$(main_pid websockify@6062.service)" != "$before" ] && state_is websockify@6062.service active; }
eventually started_anew
says websockify@6062.service 'code=killed, status=9/KILL'
tell long 'after it was killed'
served 6062
is websockify@6062.socket active
rmdir "$group"
