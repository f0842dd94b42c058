# A bridge that was broken into, as root, without the unit's sandbox and without its own: the policy
# alone. docs/THREATS.md has the table; this holds it.
target 5900
target 5999
target @escape
certificate one localhost
echo secret >/root/secret
restorecon -RF /root
configure 5931 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/one.pem' \
    'WEBSOCKIFY_KEY=/etc/ssl/test/one.key'
succeeds inside systemctl enable --now websockify@5931.socket
served 5931 --tls /etc/ssl/test/one.pem
key=$(find /run/credentials/websockify@5931.service -name '*one.key')
[ -n "$key" ] || fail 'the other instance has no key'
chcon -t websockifyd_exec_t /usr/libexec/websockify/escape
cat >/etc/systemd/system/escape.service <<UNIT
[Service]
Type=oneshot
Environment=WEBSOCKIFY_SANDBOX=off WEBSOCKIFY_LISTEN=6080 WEBSOCKIFY_TARGET=localhost:5900
Environment=ESCAPE_PID=$(main_pid websockify@5931.service) ESCAPE_PORT=5432
Environment=ESCAPE_KEY=$key
RuntimeDirectory=websockify/escape
ExecStart=/usr/libexec/websockify/escape
UNIT
# All of it is denied, and that is what it is for.
echo 'comm="escape"' >>/tmp/expected
inside systemctl daemon-reload
succeeds inside systemctl start escape.service
says escape.service 'look a name up'
doors=$(journal escape.service | grep -a '^open: ' || true)
journal escape.service
# Debian 12's policy does not know namespaces yet.
[ "$RELEASE" != 12 ] || doors=${doors/$'open: make a namespace\n'/}
[ "$doors" = 'open: read the key in /etc
open: write to its own runtime directory
open: open a port
open: connect to an abstract socket
open: open a netlink socket
open: look a name up' ] || fail "open: $doors"
rm /etc/systemd/system/escape.service
