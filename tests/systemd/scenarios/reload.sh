# Keys that only root may read, in an unprivileged service; a renewal without ending a session.
target 5900
certificate one localhost
ln -sf one.pem "$(path /etc/ssl/test/live.pem)"
ln -sf one.key "$(path /etc/ssl/test/live.key)"
configure 5961 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/live.pem' \
    'WEBSOCKIFY_KEY=/etc/ssl/test/live.key'
succeeds inside systemctl enable --now websockify@5961.socket
session before 5961 --tls "$(path /etc/ssl/test/one.pem)"
tell before 'by the first certificate'
process=$(main_pid websockify@5961.service)
# As certbot does: new files, and the links lead there.
certificate two localhost
ln -sf two.pem "$(path /etc/ssl/test/live.pem)"
ln -sf two.key "$(path /etc/ssl/test/live.key)"
succeeds inside systemctl reload 'websockify@*.service'
says websockify@5961.service reloaded
served 5961 --tls "$(path /etc/ssl/test/two.pem)"
fails 1 peer echo 5961 --tls "$(path /etc/ssl/test/one.pem)"
tell before 'and on'
# What cannot be used is refused before anything changes.
echo garbage >"$(path /etc/ssl/test/two.key)"
fails 1 inside systemctl reload websockify@5961.service
says websockify@5961.service 'no private key in PEM form in it'
served 5961 --tls "$(path /etc/ssl/test/two.pem)"
tell before 'still'
# The status goes on saying so, and the record explains itself, until the files are mended.
wrong='; not reloaded: --key /etc/ssl/test/live.key: no private key in PEM form in it'
eventually status_is websockify@5961.service "1 session *,* served, *, sandbox full$wrong"
contains "$(inside systemctl status websockify@5961.service || true)" "$wrong" || fail 'systemctl status does not say so'
refusals=$(inside journalctl --quiet --catalog --since="@$since" --unit=websockify@5961.service \
    MESSAGE_ID=8d0f0d328402479f8118febba0d298f0)
contains "$refusals" 'not reloaded, everything stays as it was: --key /etc/ssl/test/live.key: no private key' ||
    fail "the record is $refusals"
contains "$refusals" 'systemctl reload websockify@NAME.service' || fail "no advice: $refusals"
echo 'WEBSOCKIFY_HEARTBEAT=soon' >>"$(path /etc/websockify/5961.conf)"
fails 1 inside systemctl reload websockify@5961.service
eventually status_is websockify@5961.service "*; not reloaded: *'soon'*"
sed -i '$d' "$(path /etc/websockify/5961.conf)"
certificate two localhost
succeeds inside systemctl reload websockify@5961.service
eventually status_is websockify@5961.service '1 session *,* served, *, sandbox full'
served 5961 --tls "$(path /etc/ssl/test/two.pem)"
tell before 'and still'
[ "$(main_pid websockify@5961.service)" = "$process" ] || fail 'it was restarted'
# A restart takes the manager's new copy.
certificate three localhost
ln -sf three.pem "$(path /etc/ssl/test/live.pem)"
ln -sf three.key "$(path /etc/ssl/test/live.key)"
succeeds inside systemctl restart websockify@5961.service
served 5961 --tls "$(path /etc/ssl/test/three.pem)"
