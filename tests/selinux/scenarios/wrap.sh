# A wrapped program has systemd's domain for it and a port that rebind.so has moved: the library got
# through to it, and the bridge may connect there.
configure 6085 'WEBSOCKIFY_WRAP=python3 /opt/test/peer.py target 6085' 'WEBSOCKIFY_WRAP_USER=nobody' \
    'WEBSOCKIFY_WRAP_MODE=respawn'
succeeds inside systemctl enable --now websockify@6085.socket
served 6085
program=$(main_pid websockify-program@6085.service)
contains "$(tr '\0' '\n' <"/proc/$program/maps")" rebind.so || fail 'the library is not in it'
contains "$(ss -Hltn)" 127.0.0.1:62549 || contains "$(ss -Hltn)" ':62549' || fail "its port is not moved: $(ss -Hltn)"
domain=$(cut -d : -f 3 "/proc/$program/attr/current" | tr -d '\0')
[ "$domain" = initrc_t ] || fail "the program is in $domain"
