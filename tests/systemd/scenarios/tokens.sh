# Targets by tokens, in files beneath /etc/websockify that only the instances may read, changed
# while it serves.
target 5900
folder=$(path /etc/websockify/tokens)
mkdir -p "$folder"
echo 'first: localhost:5900' >"$folder/tokens"
chmod 640 "$folder/tokens"
chmod 750 "$folder"
inside chgrp -R _websockify /etc/websockify/tokens
configure 6021 'WEBSOCKIFY_TOKEN_PLUGIN=TokenFile' 'WEBSOCKIFY_TOKEN_SOURCE=/etc/websockify/tokens'
succeeds inside systemctl enable --now websockify@6021.socket
served 6021 --path '/?token=first'
fails 1 peer echo 6021 --path '/?token=second'
echo 'second: localhost:5900' >"$folder/new"
chmod 640 "$folder/new"
inside chgrp _websockify /etc/websockify/tokens/new
mv "$folder/new" "$folder/tokens"
eventually peer echo 6021 --path '/?token=second'
fails 1 peer echo 6021 --path '/?token=first'
eventually status_is websockify@6021.service '*, sandbox f*'
rm -r "$folder"
