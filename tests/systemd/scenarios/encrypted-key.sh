# A key that lies encrypted on disk, for this machine only.
target 5900
certificate one localhost
rm -f "$(path /etc/websockify/one.key.cred)"
succeeds inside systemd-creds encrypt --with-key=host --name=one.key.cred /etc/ssl/test/one.key \
    /etc/websockify/one.key.cred
configure 5971 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/one.pem' \
    'WEBSOCKIFY_KEY=/etc/websockify/one.key.cred'
succeeds inside systemctl enable --now websockify@5971.socket
served 5971 --tls "$(path /etc/ssl/test/one.pem)"
# A renewed one, at a reload.
certificate two localhost
cp "$(path /etc/ssl/test/two.pem)" "$(path /etc/ssl/test/one.pem)"
rm "$(path /etc/websockify/one.key.cred)"
succeeds inside systemd-creds encrypt --with-key=host --name=one.key.cred /etc/ssl/test/two.key \
    /etc/websockify/one.key.cred
succeeds inside systemctl reload websockify@5971.service
says websockify@5971.service reloaded
served 5971 --tls "$(path /etc/ssl/test/two.pem)"
