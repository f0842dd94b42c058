# Python's websockify, in every order: who asks for python3-websockify has it, /usr/bin/websockify is
# ours as long as we are there, and then Python's again.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
# together: both are usable, and dpkg knows whose is whose.
together() {
    is_ours /usr/bin/websockify
    is_pythons /usr/bin/websockify.python3
    succeeds inside dpkg --verify websockify python3-websockify
    [ -z "$(inside dpkg --audit)" ] || fail "$(inside dpkg --audit)"
}
# alone: Python's, where Debian put it.
alone() {
    is_pythons /usr/bin/websockify
    absent /usr/bin/websockify.python3
    [ -z "$(inside dpkg-divert --list '*websockify*')" ] || fail 'a diversion is left'
    succeeds inside dpkg --verify python3-websockify
}

echo '-- both of Debian, then ours'
succeeds apt install websockify
alone
succeeds apt install "$ours"
has_version "$version"
together
echo '-- reinstalled, each of them'
succeeds apt install --reinstall "$ours"
together
succeeds apt install --reinstall python3-websockify
together
echo '-- back to Debian'\''s'
debians=$(inside apt-cache madison websockify | awk 'NR == 1 { print $3 }')
# Refused, and no instance has been restarted for it.
target 5900
configure 5901 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@5901.socket
served 5901
first=$(main_pid websockify@5901.service)
fails 100 apt install --allow-downgrades "websockify=$debians"
grep -q 'remove this one first' "$scratch/fails" || fail "$(cat "$scratch/fails")"
[ "$(main_pid websockify@5901.service)" = "$first" ] || fail 'the bridge was restarted'
has_version "$version"
together
succeeds apt remove websockify
alone
succeeds apt install "websockify=$debians"
alone
has_version "$debians"
succeeds apt install "$ours"
together
echo '-- removed under it: Python'\''s goes first, ours goes first'
succeeds apt remove python3-websockify
is_ours /usr/bin/websockify
absent /usr/bin/websockify.python3
succeeds apt install python3-websockify
together
succeeds apt remove websockify
alone
echo '-- Python'\''s alone, then ours'
succeeds apt install "$ours"
together
succeeds apt purge websockify
alone
succeeds apt purge python3-websockify
absent /usr/bin/websockify /usr/bin/websockify.python3
echo '-- ours first, then Python'\''s'
succeeds apt install "$ours"
is_ours /usr/bin/websockify
succeeds apt install python3-websockify
together
succeeds apt purge websockify python3-websockify
absent /usr/bin/websockify /usr/bin/websockify.python3
[ -z "$(inside dpkg-divert --list '*websockify*')" ] || fail 'a diversion is left'
