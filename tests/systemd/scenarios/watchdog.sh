# A process that does not go on is ended and started again; one that does is left alone.
target 5900
configure 5981 'WEBSOCKIFY_TARGET=localhost:5900'
override websockify@5981.service '[Service]' 'WatchdogSec=1'
succeeds inside systemctl enable --now websockify@5981.socket
session long 5981
tell long 'before the watchdog would have bitten'
first=$(main_pid websockify@5981.service)
fed() {
    local last now
    last=$(property websockify@5981.service WatchdogTimestampMonotonic)
    now=$(property websockify@5981.service ActiveEnterTimestampMonotonic)
    [ "$((last - now))" -gt 2500000 ]
}
eventually fed
[ "$(main_pid websockify@5981.service)" = "$first" ] || fail 'it was restarted for nothing'
tell long 'after it'
inside kill -STOP "$first"
says websockify@5981.service 'Watchdog timeout'
restarted() { [ "$(property websockify@5981.service NRestarts)" -ge 1 ]; }
eventually restarted
served 5981
[ "$(main_pid websockify@5981.service)" != "$first" ] || fail 'it was not restarted'
