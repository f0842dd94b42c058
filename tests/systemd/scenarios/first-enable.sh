# One line of configuration, one command, and a client is served.
target 5900
configure 5901 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@5901.socket
is websockify@5901.socket active
is websockify@5901.service inactive
served 5901
is websockify@5901.service active
eventually status_is websockify@5901.service '0 sessions, 1 served, target localhost:5900*'
contains "$(inside systemctl show -P FragmentPath,SourcePath websockify@5901.service)" \
    /etc/websockify/5901.conf || fail 'the unit does not name its file'
says websockify@5901.service 'target=localhost:5900 from_client=14 to_client=14'
