# A kernel, or a filter, without landlock: nothing is served unprotected unless that is asked for.
target 5900
configure 5941 'WEBSOCKIFY_TARGET=localhost:5900'
override websockify@5941.service '[Service]' \
    'SystemCallFilter=~landlock_create_ruleset landlock_add_rule landlock_restrict_self'
succeeds inside systemctl enable --now websockify@5941.socket
exec {waiting}< <(peer echo 5941 2>&1)
says websockify@5941.service 'cannot start with --sandbox=enforce: the kernel has no landlock'
says websockify@5941.service 'status=77'
configure 5941 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_SANDBOX=try'
read -r -t 30 answer <&"$waiting" || fail 'who waited was not served'
contains "$answer" ' ms' || fail "who waited got: $answer"
says websockify@5941.service 'no sandbox: the kernel has no landlock'
eventually status_is websockify@5941.service '*, sandbox none'
