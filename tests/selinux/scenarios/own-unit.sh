# A unit of the administrator's own, as root, that opens a port and reads a key by itself.
target 5900
certificate one localhost
mkdir -p /etc/ssl/private
mv /etc/ssl/test/one.key /etc/ssl/private/one.key
restorecon -F /etc/ssl/private/one.key
cat >/etc/systemd/system/own.service <<UNIT
[Service]
Type=notify
RuntimeDirectory=websockify
ExecStart=/usr/bin/websockify --cert /etc/ssl/test/one.pem --key /etc/ssl/private/one.key 443 localhost:5900
UNIT
inside systemctl daemon-reload
echo '{ \(read\|open\) }.*tls_privkey_t' >>/tmp/expected
echo 'tls_privkey_t' >>/tmp/expected
fails 1 inside systemctl start own.service
says own.service 'Permission denied'
succeeds inside setsebool websockifyd_read_keys on
succeeds inside systemctl start own.service
served 443 --tls /etc/ssl/test/one.pem
domain=$(cut -d : -f 3 "/proc/$(main_pid own.service)/attr/current" | tr -d '\0')
[ "$domain" = websockifyd_t ] || fail "the bridge is in $domain"
succeeds inside systemctl stop own.service
succeeds inside setsebool websockifyd_read_keys off
rm /etc/systemd/system/own.service /etc/ssl/private/one.key
