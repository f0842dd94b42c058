# Whatever happens to the service, the socket stays, and who waits in it is served after the repair.
target 5900
configure 5905 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@5905.socket
configure 5905 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_HEARTBEAT=soon'
exec {waiting}< <(peer echo 5905 2>&1)
# More starts than the five that systemd allows by default.
restarts() { [ "$(property websockify@5905.service NRestarts)" -ge 6 ]; }
eventually restarts
is websockify@5905.socket active
says websockify@5905.service "integer value: 'soon'"
configure 5905 'WEBSOCKIFY_TARGET=localhost:5900'
read -r -t 30 answer <&"$waiting" || fail 'who waited was not served'
contains "$answer" ' ms' || fail "who waited got: $answer"
# A crash costs nobody but the sessions.
inside kill -KILL "$(main_pid websockify@5905.service)"
served 5905
is websockify@5905.socket active
