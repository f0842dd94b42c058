# A target behind a Unix socket, from a service that has no network at all.
target "$(path /run/target.sock)"
configure 5904 'WEBSOCKIFY_UNIX_TARGET=/run/target.sock'
succeeds inside systemctl enable --now websockify@5904.socket
served 5904
[ "$(property websockify@5904.service PrivateNetwork)" = yes ] || fail 'it has a network'
