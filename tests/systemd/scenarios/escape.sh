# A bridge that was broken into finds every door closed: by its unit, by its own sandbox, and mostly
# by both. docs/THREATS.md has the table; this holds it.
target 5900
target 5999
target @escape
echo '127.0.0.1 localhost' >"$(path /etc/hosts)"
certificate one localhost
echo secret >"$(path /root/secret)"
install -m 755 "$(dirname "$BRIDGE")/examples/escape" "$(path /usr/bin/escape)"
# Somebody else: another instance, with a key.
configure 5931 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/ssl/test/one.pem' \
    'WEBSOCKIFY_KEY=/etc/ssl/test/one.key'
succeeds inside systemctl enable --now websockify@5931.socket
served 5931
other=$(main_pid websockify@5931.service)
key=$(inside find /run/credentials/websockify@5931.service -name '*one.key')
[ -n "$key" ] || fail 'the other instance has no key'
given=(ESCAPE_PID="$other" ESCAPE_PORT=5999 ESCAPE_KEY="$key")

# in_unit SANDBOX TARGET: the doors that are open with the unit's walls.
in_unit() {
    configure 5932 'WEBSOCKIFY_LISTEN=5932' "WEBSOCKIFY_TARGET=$2" "WEBSOCKIFY_SANDBOX=$1" \
        "${given[@]}"
    override websockify@5932.service '[Service]' 'Type=oneshot' 'Restart=no' 'RestartForceExitStatus=' \
        'WatchdogSec=0' \
        'BindReadOnlyPaths=/usr/bin/escape:/usr/libexec/websockify/websockifyd' "Environment=RUN=$1,$2"
    succeeds inside systemctl start websockify@5932.service
    says websockify@5932.service 'look a name up'
    journal websockify@5932.service | sed -n '/^sandbox/h; /^sandbox/!H; ${x; p}' | grep -a '^open: ' || true
}
both=$(in_unit enforce localhost:5900)
by_name=$(in_unit enforce desk:5900)
unit=$(in_unit off localhost:5900)
alone=$(inside env "${given[@]}" escape 6080 localhost:5900 | grep '^open: ') || true
alone_by_name=$(inside env "${given[@]}" escape 6080 desk:5900 | grep '^open: ') || true
by_hand=$(inside env "${given[@]}" escape --sandbox=off 6080 localhost:5900 | grep '^open: ') || true
for set in both by_name unit alone alone_by_name by_hand; do
    printf -- '-- %s:\n%s\n' "$set" "${!set}"
done
[ -z "$both" ] || fail 'a door is open'
[ "$by_name" = 'open: look a name up' ] || fail 'a door is open where names are looked up'
[ "$unit" = 'open: list users'\'' programs
open: write to /tmp
open: write to its own runtime directory
open: open a port
open: connect to another port
open: connect to an abstract socket
open: look a name up' ] || fail 'the unit alone leaves other doors open than the table has'
[ "$alone" = 'open: make a namespace
open: open a netlink socket' ] || fail 'the sandbox alone leaves other doors open than the table has'
[ "$alone_by_name" = 'open: read /etc/shadow
open: read the key in /etc
open: make a namespace
open: open a netlink socket
open: look a name up' ] || fail 'the sandbox alone leaves other doors open than the table has'
