# What the policy keeps closed until an administrator turns it on.
denied() { printf '%s\n' "$@" >>/tmp/expected; }
switch() { succeeds inside setsebool "websockifyd_$1" "$2"; }
target 5901
target 5432
configure 6061 'WEBSOCKIFY_TARGET=localhost:5901'
configure 6062 'WEBSOCKIFY_TARGET=localhost:5432'
configure 25 'WEBSOCKIFY_TARGET=localhost:5901'
for port in 6061 6062; do
    succeeds inside systemctl enable --now "websockify@$port.socket"
done
# A port from 1024 on that nobody claims, which is every VNC display but the first.
served 6061
switch connect_unreserved off
denied '{ name_connect }.*dest=5901'
fails 1 peer echo 6061
says websockify@6061.service 'Permission denied'
switch connect_unreserved on
served 6061
# A database's.
denied '{ name_connect }.*dest=5432'
fails 1 peer echo 6062
says websockify@6062.service 'Permission denied'
switch connect_any on
served 6062
switch connect_any off
fails 1 peer echo 6062
# Listening where mail is expected.
denied '{ name_bind }.*src=25 '
fails 1 inside systemctl start websockify@25.socket
switch listen_any on
succeeds inside systemctl start websockify@25.socket
served 25
inside systemctl stop websockify@25.socket websockify@25.service
switch listen_any off
fails 1 inside systemctl start websockify@25.socket
# A Unix socket of a service that has no domain of its own.
target /run/target.sock
configure 6063 'WEBSOCKIFY_UNIX_TARGET=/run/target.sock'
succeeds inside systemctl enable --now websockify@6063.socket
served 6063
