# An upgrade under load: instances are restarted, and nobody is refused.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
succeeds apt install /var/local/earlier.deb
target 5900
for port in 5901 5902; do
    configure "$port" 'WEBSOCKIFY_TARGET=localhost:5900'
    succeeds inside systemctl enable --now "websockify@$port.socket"
    served "$port"
done
first=$(main_pid websockify@5901.service) second=$(main_pid websockify@5902.service)
session open 5901
tell open 'a session'
# One connection after the other, until the upgrade is over.
peer edge 5902 --count 100000 --seconds 0.04 >"$scratch/load" 2>&1 &
load=$!
many() { [ "$(wc -l <"$scratch/load")" -gt 20 ]; }
eventually many
succeeds apt install "$ours"
has_version "$version"
before=$(wc -l <"$scratch/load")
eventually test "$(main_pid websockify@5901.service)" != "$first"
[ "$(main_pid websockify@5902.service)" != "$second" ] || fail 'the second instance was not restarted'
more() { [ "$(wc -l <"$scratch/load")" -gt "$((before + 20))" ]; }
eventually more
kill "$load"
# Who is in a session at that moment is told so.
unexpected=$(grep lost "$scratch/load" | grep -v 'closed 1001') || true
[ -z "$unexpected" ] || fail "$unexpected"
echo "$(grep -c ' ms$' "$scratch/load") served, $(grep -c 'closed 1001' "$scratch/load") told to come again; \
longest: $(sed -n 's/ ms$//p' "$scratch/load" | sort -n | tail -n 1) ms"
if [ "$(property websockify@5901.service FileDescriptorStoreMax)" = 0 ]; then
    ended open 'closed 1001'
else
    tell open 'still there'
fi
served 5901
is websockify@5901.socket active
succeeds inside systemctl is-enabled websockify@5901.socket
[ -z "$(inside systemctl list-units --failed --no-legend)" ] || fail "$(inside systemctl list-units --failed)"
