# What would not serve a client does not start, and says why.
# refused NAME SENTENCE [STATUS]: by enable --now, in the journal, and by hand.
refused() {
    fails 1 inside systemctl enable --now "websockify@$1.socket"
    says "websockify@$1.socket" "$2"
    fails "${3:-1}" inside websockify --check-instance "$1"
    contains "$(cat "$scratch/fails")" "$2" || fail "--check-instance $1: $(cat "$scratch/fails")"
}
instances=(5911)
refused 5911 'there is no /etc/websockify/5911.conf: write it, with a line WEBSOCKIFY_TARGET=host:port'
configure 5911 '# nothing yet'
refused 5911 'names no target: add a line WEBSOCKIFY_TARGET=host:port'
configure 5911 'WEBSOCKIFY_TARGET=localhost'
refused 5911 "target 'localhost' is not host:port" 2
configure 5911 'WEBSOCKIFY_TARGET=localhost:5911'
refused 5911 'is where we listen ourselves'
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_HEARTBEAT=soon'
refused 5911 "integer value: 'soon'" 2
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_KEY=/etc/ssl/none.key' \
    'WEBSOCKIFY_CERT=/etc/ssl/none.pem'
refused 5911 '--cert /etc/ssl/none.pem: No such file'
certificate one localhost
certificate two localhost
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/one.pem' \
    'WEBSOCKIFY_KEY=/etc/ssl/test/two.key'
refused 5911 'the key does not belong to the certificate'
configure 5911 'WEBSOCKIFY_UNIX_TARGET=/tmp/desk.sock'
refused 5911 'that is hidden from the service'
# The check is root's, and the service is not.
folder=$(path /etc/websockify/closed)
mkdir -p "$folder"
echo 'jane:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC' >"$folder/users"
chmod 600 "$folder/users"
chmod 700 "$folder"
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_AUTH_PLUGIN=BasicHTTPAuth' \
    'WEBSOCKIFY_AUTH_SOURCE=@/etc/websockify/closed/users'
refused 5911 'chgrp _websockify /etc/websockify/closed && chmod 750 /etc/websockify/closed'
inside chgrp _websockify /etc/websockify/closed
chmod 750 "$folder"
refused 5911 'chgrp _websockify /etc/websockify/closed/users && chmod 640 /etc/websockify/closed/users'
# A drop-in may give the service what it needs: then the sentence is a warning.
override websockify@5911.service '[Service]' 'SupplementaryGroups=root'
succeeds inside systemctl start websockify@5911.socket
says websockify@5911.socket 'unless its drop-ins let it'
succeeds inside systemctl stop websockify@5911.socket
override websockify@5911.service '[Service]'
inside chgrp _websockify /etc/websockify/closed/users
chmod 640 "$folder/users"
succeeds inside websockify --check-instance 5911
configure 5911 'WEBSOCKIFY_TOKEN_PLUGIN=TokenFile' 'WEBSOCKIFY_TOKEN_SOURCE=/etc/websockify/closed'
chmod 600 "$folder/users"
refused 5911 'may not read the file /etc/websockify/closed/users'
rm -r "$folder"
# A page that nobody shall have is no reason to have none.
folder=$(path /usr/local/share/pages)
mkdir -p "$folder"
echo secret >"$folder/config.php"
chmod 600 "$folder/config.php"
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_WEB=/usr/local/share/pages'
succeeds inside websockify --check-instance 5911
chmod 700 "$folder"
refused 5911 'may not read the directory /usr/local/share/pages'
# Sockets are asked for by name.
chmod 711 "$folder"
configure 5911 'WEBSOCKIFY_TOKEN_PLUGIN=UnixDomainSocketDirectory' 'WEBSOCKIFY_TOKEN_SOURCE=/usr/local/share/pages'
succeeds inside websockify --check-instance 5911
# What the service could not start with, for ever.
configure 5911 'WEBSOCKIFY_TOKEN_PLUGIN=Exec' 'WEBSOCKIFY_TOKEN_SOURCE=/usr/local/share/pages/none'
refused 5911 'a helper needs /usr/local/share/pages/none, which cannot be run: No such file'
printf '#!/bin/sh\n' >"$folder/asked"
chmod 700 "$folder/asked"
configure 5911 'WEBSOCKIFY_TOKEN_PLUGIN=Exec' 'WEBSOCKIFY_TOKEN_SOURCE=/usr/local/share/pages/asked'
refused 5911 'may not execute the file /usr/local/share/pages/asked'
rm -r "$folder"
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_RECORD=/var/log/session'
refused 5911 'WEBSOCKIFY_RECORD=/var/log/session: the service may not write there'
override websockify@5911.service '[Service]' 'ReadWritePaths=-/var/log'
succeeds inside websockify --check-instance 5911
override websockify@5911.service '[Service]'
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900' $'WEBSOCKIFY_WEB=/srv/caf\xe9'
refused 5911 'the line of WEBSOCKIFY_WEB is not UTF-8'
configure desk 'WEBSOCKIFY_TARGET=localhost:5900'
fails 1 inside websockify --check-instance desk
contains "$(cat "$scratch/fails")" "'desk' is no port: add a line WEBSOCKIFY_LISTEN=" || fail "$(cat "$scratch/fails")"
# The target's own program is on that port already.
target 5911
configure 5911 'WEBSOCKIFY_TARGET=localhost:5911'
refused 5911 'is where we listen ourselves'
# And when all is well, it says so.
configure 5911 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside websockify --check-instance 5911
