# Installed, used, removed, installed again, purged: what it promises is there, and nothing is left.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
files >"$scratch/before"
inside dpkg-query --show >"$scratch/packages"
succeeds apt install "$ours"
has_version "$version"
# It brings nothing along that a minimal system with OpenSSL has not.
[ "$(inside dpkg-query --show | wc -l)" = $(($(wc -l <"$scratch/packages") + 1)) ] ||
    fail "it pulled in: $(inside dpkg-query --show | diff "$scratch/packages" -)"
is_ours websockify
is websockify.target active
[ "$(inside systemctl is-enabled websockify.target)" = enabled ] || fail 'the target is not enabled'
succeeds inside getent group _websockify
contains "$(inside journalctl --list-catalog 2>/dev/null)" 'websockify: The sandbox cannot be enforced' || fail 'no catalog'
complaints=$(inside systemd-analyze verify --recursive-errors=no --man=no websockify.target websockify@5901.socket 2>&1) ||
    fail "$complaints"

# The README's two lines.
target 5900
configure 5901 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@5901.socket
served 5901
[ "$(inside readlink "/proc/$(main_pid websockify@5901.service)/exe")" = /usr/libexec/websockify/websockifyd ] ||
    fail 'another program serves'
# Each example is one, when what it names is there.
certificate one desk.example.org
mkdir -p "$(path /etc/letsencrypt/live/desk.example.org)" "$(path /usr/share/novnc)"
cp "$(path /etc/ssl/test/one.pem)" "$(path /etc/letsencrypt/live/desk.example.org/fullchain.pem)"
cp "$(path /etc/ssl/test/one.key)" "$(path /etc/letsencrypt/live/desk.example.org/privkey.pem)"
echo 'desk: localhost:5900' >"$(path /etc/websockify/tokens)"
echo 'jane:$2y$05$PqLoWFCeBjFeIGMHJhANKOtmyWVTg0eRYiGAN8Hhc0qKVuOyxKkEG' >"$(path /etc/websockify/users)"
inside sh -c 'cd /etc/websockify && chown root:_websockify tokens users && chmod 640 tokens users'
count=0
for example in "$(path /etc/websockify)"/*.conf.example; do
    count=$((count + 1))
    cp "$example" "$(path "/etc/websockify/600$count.conf")"
    instances+=("600$count")
    succeeds inside systemctl enable --now "websockify@600$count.socket"
done
[ "$count" = 4 ] || fail "there are $count examples"
served 6004

# Removed: nobody serves any more, and what an administrator wrote is there.
session open 5901
tell open 'a session'
succeeds apt remove websockify
ended open 'closed 1001'
[ -z "$(inside systemctl list-units --all --no-legend --plain 'websockify*' | grep -v not-found)" ] ||
    fail "left: $(inside systemctl list-units --all 'websockify*')"
fails 1 peer echo 5901
absent /usr/bin/websockify /usr/bin/rebind /usr/libexec/websockify /usr/lib/systemd/system/websockify.target
[ -e "$(path /etc/websockify/5901.conf)" ] || fail 'the configuration is gone'

# Installed again, it goes on.
succeeds apt install "$ours"
[ "$(inside systemctl is-enabled websockify@5901.socket)" = enabled ] || fail 'the instance is forgotten'
succeeds inside systemctl start websockify@5901.socket
served 5901

# Purged, with instances enabled and at work: everything is as before, but for what is an
# administrator's, and the group, whose number must not become somebody else's.
succeeds apt purge websockify
fails 1 peer echo 5901
[ -e "$(path /etc/websockify/5901.conf)" ] || fail 'the configuration is gone'
rm -rf "$(path /etc/websockify)" "$(path /etc/letsencrypt)" "$(path /usr/share/novnc)" "$(path /etc/ssl)"
files >"$scratch/after"
left=$(diff "$scratch/before" "$scratch/after" | grep '^[<>]' |
    grep -v -e ' /etc/\(group\|gshadow\)-\?$' -e ' /etc/\(group\|gshadow\)- ') || true
[ -z "$left" ] || fail "left: $left"
