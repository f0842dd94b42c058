# The service ends when nobody is there, and nobody who comes in that moment is lost: 200 clients,
# each within some milliseconds of the exit that its predecessor's end has set off.
target 5900
for port in 592{0..9}; do
    configure "$port" 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_IDLE_TIMEOUT=1'
done
succeeds inside systemctl enable --now websockify@592{0..9}.socket
clients=()
for port in 592{0..9}; do
    peer edge "$port" --count 20 --seconds 1 &
    clients+=($!)
done
for client in "${clients[@]}"; do
    wait "$client" || fail 'a client was lost'
done
exits=$(journal 'websockify@*.service' | grep -c 'ending by --idle-timeout')
echo "$exits exits"
[ "$exits" -ge 40 ] || fail "only $exits exits: the edge was hardly met"
is websockify@5920.socket active
