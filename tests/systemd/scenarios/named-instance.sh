# An instance with a name says where to listen; the generator tells its socket.
target 5900
configure desk 'WEBSOCKIFY_LISTEN=127.0.0.1:6080' 'WEBSOCKIFY_TARGET=localhost:5900'
configure behind-proxy 'WEBSOCKIFY_LISTEN=/run/desk.sock' 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@desk.socket websockify@behind-proxy.socket
served 6080
served "$(path /run/desk.sock)"
says websockify@desk.service 'listening on 127.0.0.1:6080'
[ "$(stat -c %a "$(path /run/desk.sock)")" = 600 ] || fail 'anybody may connect to /run/desk.sock'
# Each has a user of its own.
[ "$(inside ps -o user= -p "$(main_pid websockify@desk.service)")" != \
    "$(inside ps -o user= -p "$(main_pid websockify@behind-proxy.service)")" ] || fail 'one user for two'
