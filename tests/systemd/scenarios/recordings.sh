# What websockify@.service(8) says of recordings, of the control socket and of a listener for a proxy.
target 5900
configure 5996 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_RECORD=/var/lib/websockify/5996/session'
override websockify@5996.service '[Service]' 'StateDirectory=websockify/%i'
succeeds inside install -d -m 700 /var/lib/websockify/5996
succeeds inside systemctl enable --now websockify@5996.socket
session recorded 5996
tell recorded 'there and back'
contains "$(inside websockify ctl --control-socket /run/websockify/5996/control list)" localhost:5900 ||
    fail 'the session is not in the list'
succeeds inside websockify ctl --control-socket /run/websockify/5996/control kill --id 1
ended recorded 'closed 1008'
says websockify@5996.service 'code=1008 by=server'
recording=$(path /var/lib/websockify/5996/session.1)
whole() { grep -q "^'EOF'\];" "$recording"; }
eventually whole
grep -q 'there and back' "$recording" || fail "$(cat "$recording")"
[ "$(stat -c %a "$recording")" = 600 ] || fail 'others may read it'

# websockify.conf(5): behind a proxy of this machine's.
configure desk 'WEBSOCKIFY_LISTEN=/run/desk.sock' 'WEBSOCKIFY_UNIX_LISTEN_MODE=0666' \
    'WEBSOCKIFY_TRUSTED_PROXY=unix' 'WEBSOCKIFY_TARGET=127.0.0.1:5900'
succeeds inside systemctl enable --now websockify@desk.socket
[ "$(stat -c %a "$(path /run/desk.sock)")" = 666 ] || fail 'the proxy cannot connect'
served "$(path /run/desk.sock)"
