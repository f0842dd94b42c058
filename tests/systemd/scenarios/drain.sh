# A stop gives sessions time: more than the manager would give a process that says nothing.
target 5900
configure 5982 'WEBSOCKIFY_TARGET=localhost:5900'
# Sessions may take ten seconds; this is what they would get without a word.
override websockify@5982.service '[Service]' 'TimeoutStopSec=1'
succeeds inside systemctl enable --now websockify@5982.socket
session open 5982
tell open 'a session'
# One that never answers our close frame.
exec {deaf}< <(peer deaf 5982)
read -r -t 30 line <&"$deaf" || fail 'no deaf session'
[ "$line" = open ] || fail "$line"
inside systemctl stop websockify@5982.socket websockify@5982.service &
stop=$!
ended open 'closed 1001'
eventually status_is websockify@5982.service 'closing 1 connections'
wait "$stop" || fail 'the stop failed'
never_says websockify@5982.service 'timed out'
never_says websockify@5982.service 'Killing'
says websockify@5982.service 'code=1001 by=server'
[ "$(property websockify@5982.service Result)" = success ] || fail "$(property websockify@5982.service Result)"
