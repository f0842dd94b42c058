# Upgrades under load: instances are restarted, nobody is refused, and no byte of a session is lost.
# ROUNDS= says how many there are under full load.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
succeeds apt install /var/local/earlier.deb
target 5903
configure 5901 'WEBSOCKIFY_TARGET=localhost:5900'
configure 5902 'WEBSOCKIFY_TARGET=localhost:5903'
succeeds inside systemctl enable --now websockify@5901.socket websockify@5902.socket
session quiet 5902

# is_another UNIT PROCESS: it runs, and not by that process any more.
is_another() { [ "$(property "$1" SubState)" = running ] && [ "$(main_pid "$1")" != "$2" ]; }
# upgrade NAME PACKAGE VERSION COMMAND…: by that command.
upgrade() {
    local first second instance
    first=$(main_pid websockify@5901.service) second=$(main_pid websockify@5902.service)
    succeeds "${@:4}" "/var/local/$2.deb"
    has_version "$3"
    # The package waits for the target, whose restart is theirs, and not for them.
    eventually is_another websockify@5901.service "$first"
    eventually is_another websockify@5902.service "$second"
    for instance in 5901 5902; do
        [ "$(inside readlink "/proc/$(main_pid "websockify@$instance.service")/exe")" = \
            /usr/libexec/websockify/websockifyd ] || fail "$instance is not the new program"
    done
    moves "$1"
    tell quiet "after $1"
}

# How long a pause is, where nothing else keeps the machine busy: a stamp each tenth of a second. Beside
# the sessions, clients come one after the other.
survive 5901 5900 0 50
upgrade calm-1 ours "$version" apt install
summary calm 1
none calm wrong told_lost cut ended refused unanswered

# 25 sessions that are full both ways, 25 with stamps; each byte is checked.
survive 5901 5900 25 25
rounds=${ROUNDS:-5}
for ((round = 1; round <= rounds; round++)); do
    next=${version%-*}+$round-1
    renumber next "$next"
    upgrade "upgrade-$round" next "$next" inside dpkg --install
done
summary upgrade "$rounds"
none upgrade wrong told_lost cut ended refused unanswered
[ "$(total upgrade served)" -gt 0 ] || fail 'no client came meanwhile'
is websockify@5901.socket active
succeeds inside systemctl is-enabled websockify@5901.socket
[ -z "$(inside systemctl list-units --failed --no-legend)" ] || fail "$(inside systemctl list-units --failed)"
