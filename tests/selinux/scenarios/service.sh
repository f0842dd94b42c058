# An instance as an administrator has it, with all that it needs files for, in the unit's sandbox and
# its own: a name, TLS with a key that is root's, tokens, recordings, a log; sessions, and a reload with
# a renewed key. Everything of it has its label, and the bridge is in its domain.
target 5900
target 5901
certificate one localhost
ln -sf one.pem /etc/ssl/test/live.pem
ln -sf one.key /etc/ssl/test/live.key
mkdir -p /etc/websockify/tokens
echo 'first: localhost:5900' >/etc/websockify/tokens/tokens
chgrp -R _websockify /etc/websockify/tokens
chmod 750 /etc/websockify/tokens
# The check before the start wants them to be there; systemd makes them the service's.
mkdir -p /var/lib/websockify/desk /var/log/websockify/desk
restorecon -RF /etc/websockify /var/lib/websockify /var/log/websockify
configure desk 'WEBSOCKIFY_LISTEN=6080' 'WEBSOCKIFY_CERT=/etc/ssl/test/live.pem' \
    'WEBSOCKIFY_KEY=/etc/ssl/test/live.key' 'WEBSOCKIFY_TOKEN_PLUGIN=TokenFile' \
    'WEBSOCKIFY_TOKEN_SOURCE=/etc/websockify/tokens' 'WEBSOCKIFY_RECORD=/var/lib/websockify/desk/session' \
    'WEBSOCKIFY_LOG_FILE=/var/log/websockify/desk/log' 'WEBSOCKIFY_WEB=/usr/share/websockify/web'
unit=websockify@desk.service
override $unit '[Service]' 'StateDirectory=websockify/%i' 'LogsDirectory=websockify/%i'
succeeds inside systemctl enable --now websockify@desk.socket
session before 6080 --tls /etc/ssl/test/one.pem --path '/?token=first'
tell before 'by the first certificate'
process=$(main_pid $unit)

# A target that is new, in a file that takes the other's place.
printf 'first: localhost:5900\nsecond: localhost:5901\n' >/etc/websockify/tokens/new
chgrp _websockify /etc/websockify/tokens/new
mv /etc/websockify/tokens/new /etc/websockify/tokens/tokens
eventually peer echo 6080 --tls /etc/ssl/test/one.pem --path '/?token=second'

certificate two localhost
ln -sf two.pem /etc/ssl/test/live.pem
ln -sf two.key /etc/ssl/test/live.key
succeeds inside systemctl reload $unit
eventually peer echo 6080 --tls /etc/ssl/test/two.pem --path '/?token=first'
tell before 'and on'
[ "$(main_pid $unit)" = "$process" ] || fail 'it was restarted'

type_of() { stat --format=%C "$1" | cut -d : -f 3; }
# labelled PATH TYPE: as it is, and as restorecon would have it.
labelled() {
    [ "$(type_of "$1")" = "$2" ] || fail "$1 is $(type_of "$1"), not $2"
    matchpathcon -V "$1" || fail "$1 would be relabelled"
}
labelled /usr/libexec/websockify/websockifyd websockifyd_exec_t
labelled /usr/libexec/websockify/websockify-instance websockifyd_instance_exec_t
labelled /usr/lib/systemd/system-generators/websockify-generator systemd_generator_exec_t
labelled /usr/lib/websockify/rebind.so lib_t
labelled /usr/lib/systemd/system/websockify@.service websockifyd_unit_t
labelled /usr/lib/systemd/system/websockify@.socket websockifyd_unit_t
labelled /usr/lib/systemd/system/websockify.target websockifyd_unit_t
labelled /usr/lib/systemd/system/websockify-program@.service websockifyd_program_unit_t
labelled /etc/websockify/desk.conf websockifyd_conf_t
labelled /run/websockify/desk websockifyd_runtime_t
labelled /run/websockify/desk/control websockifyd_runtime_t
labelled /var/lib/private/websockify/desk/session.1 websockifyd_record_t
labelled /var/log/private/websockify/desk/log websockifyd_log_t
for name in vnc.key tls/vnc.key vnc.key.cred live/privkey.pem live/privkey3.pem; do
    [ "$(matchpathcon -n "/etc/websockify/$name" | cut -d : -f 3)" = websockifyd_key_t ] || fail "$name is no key"
done
# Not ours, but foreman's.
! contains "$(matchpathcon -n /usr/bin/websockify)" websockifyd || fail '/usr/bin/websockify has a label of ours'
domain=$(cut -d : -f 3 "/proc/$process/attr/current" | tr -d '\0')
[ "$domain" = websockifyd_t ] || fail "the bridge is in $domain"

succeeds inside systemctl stop websockify@desk.socket $unit
ended before 'closed 1001'
grep -q 'by the first certificate' /var/lib/websockify/desk/session.1 || fail 'nothing is recorded'
grep -q 'target=localhost:5901' /var/log/websockify/desk/log || fail "no record: $(cat /var/log/websockify/desk/log)"
