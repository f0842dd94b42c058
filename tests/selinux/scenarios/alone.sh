# A bridge that was broken into, as root, without the unit's sandbox and without its own: the policy
# alone. docs/THREATS.md has the table; this holds it.
target 5900
target 5999
target @escape
certificate one localhost
mkdir -p /etc/ssl/private
cp /etc/ssl/test/one.key /etc/ssl/private/one.key
cp /etc/ssl/test/one.key /etc/websockify/one.key
restorecon -F /etc/ssl/private/one.key /etc/websockify/one.key
echo secret >/root/secret
restorecon -RF /root
configure 5931 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/one.pem' \
    'WEBSOCKIFY_KEY=/etc/websockify/one.key'
succeeds inside systemctl enable --now websockify@5931.socket
served 5931 --tls /etc/ssl/test/one.pem
chcon -t websockifyd_exec_t /usr/libexec/websockify/escape
cat >/etc/systemd/system/escape.service <<UNIT
[Service]
Type=oneshot
Environment=WEBSOCKIFY_SANDBOX=off WEBSOCKIFY_LISTEN=6080 WEBSOCKIFY_TARGET=localhost:5900
Environment=ESCAPE_PID=$(main_pid websockify@5931.service) ESCAPE_PORT=5432
Environment=ESCAPE_KEY=/etc/ssl/private/one.key RUNTIME_DIRECTORY=/run
ExecStart=/usr/libexec/websockify/escape
UNIT
# All of it is denied, and that is what it is for.
echo 'comm="escape"' >>/tmp/expected
inside systemctl daemon-reload
succeeds inside systemctl start escape.service
says escape.service 'look a name up'
doors=$(journal escape.service | grep -a '^open: ' || true)
journal escape.service
[ "$doors" = 'open: look a name up' ] || fail "open: $doors"
rm /etc/systemd/system/escape.service /etc/websockify/one.key
