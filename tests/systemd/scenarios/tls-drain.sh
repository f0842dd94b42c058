# A restart waits for sessions inside TLS, and serves meanwhile; plain ones go on behind it.
target 5900
certificate vnc localhost
configure 6043 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/vnc.pem' \
    'WEBSOCKIFY_KEY=/etc/ssl/test/vnc.key' 'WEBSOCKIFY_DRAIN_TIMEOUT=6'
# What it would get without a word.
override websockify@6043.service '[Service]' 'TimeoutStopSec=2'
succeeds inside systemctl enable --now websockify@6043.socket
ca=$(path /etc/ssl/test/vnc.pem)
session plain 6043
session inside 6043 --tls "$ca"
tell plain 'before the restart'
tell inside 'inside TLS before the restart'
status_now() { status_is websockify@6043.service "$1"; }
eventually status_now '2 sessions (1 of them end with a restart), *'
inside systemctl restart websockify@6043.service &
restart=$!
eventually status_now '2 sessions (draining 1), *'
tell inside 'while it is waited for'
served 6043
served 6043 --tls "$ca"
ended inside 'closed 1001'
wait "$restart" || fail 'the restart failed'
tell plain 'after the restart'
status_now '1 session, *' || fail "$(status_line websockify@6043.service)"
never_says websockify@6043.service 'timed out'
[ "$(property websockify@6043.service Result)" = success ] || fail "$(property websockify@6043.service Result)"
# A stop is no restart: it says goodbye to everybody.
inside systemctl stop websockify@6043.socket websockify@6043.service
ended plain 'closed 1001'
[ "$(property websockify@6043.service NFileDescriptorStore)" = 0 ] || fail 'something is left in the store'
