# Recordings and a log file of an instance, in directories that the unit gets by a drop-in.
target 5900
# The check before the start wants them to be there.
mkdir -p /var/lib/private/websockify /var/log/private/websockify
chmod 700 /var/lib/private /var/log/private
ln -sfn private/websockify /var/lib/websockify
ln -sfn private/websockify /var/log/websockify
restorecon -RF /var/lib/private /var/lib/websockify /var/log/private /var/log/websockify
configure 6041 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_RECORD=/var/lib/websockify/desk' \
    'WEBSOCKIFY_LOG_FILE=/var/log/websockify/desk.log'
override websockify@6041.service '[Service]' 'StateDirectory=websockify' 'LogsDirectory=websockify'
succeeds inside systemctl enable --now websockify@6041.socket
served 6041
served 6041
succeeds inside systemctl stop websockify@6041.service
for file in lib/websockify/desk.1 lib/websockify/desk.2; do
    grep -q '^var VNC_frame_data' "/var/$file" || fail "no recording: $(head -c 200 "/var/$file")"
    [ "$(stat --format=%C "/var/$file" | cut -d : -f 3)" = websockifyd_record_t ] || fail "$(ls -Z "/var/$file")"
done
grep -q 'from_client=14' /var/log/websockify/desk.log || fail "no record: $(cat /var/log/websockify/desk.log)"
[ "$(stat --format=%C /var/log/websockify/desk.log | cut -d : -f 3)" = websockifyd_log_t ] ||
    fail "$(ls -Z /var/log/websockify)"
rm -rf /var/lib/websockify /var/log/websockify /var/lib/private/websockify /var/log/private/websockify
