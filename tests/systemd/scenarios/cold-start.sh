# How long the first client waits: from connect(2) to its first byte back, through a service that is
# not running yet. The figures are printed; the bound only tells a start from a hang.
target 5900
configure 6031 'WEBSOCKIFY_TARGET=127.0.0.1:5900' 'WEBSOCKIFY_IDLE_TIMEOUT=0'
succeeds inside systemctl enable --now websockify@6031.socket
for _ in 1 2 3 4 5 6 7; do
    cold=$(peer echo 6031) || fail 'not served'
    warm=$(peer echo 6031) || fail 'not served'
    active=$(property websockify@6031.service ActiveEnterTimestampMonotonic)
    # The last thing that the manager does before execve(2); systemd 254 and newer.
    handed=$(property websockify@6031.service ExecMainHandoffTimestampMonotonic)
    [ -z "$handed" ] || own="$((active - handed)) µs"
    echo "cold $cold, warm $warm, from execve to READY as the manager sees it: ${own:-not told}"
    succeeds inside systemctl stop websockify@6031.service
done
[ "${cold%%.*}" -lt 5000 ] || fail "the first client waited $cold"
