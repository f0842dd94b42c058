# Records have fields and kinds that can be asked for, and the catalog explains them.
target 5900
configure 5991 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_AUTH_PLUGIN=BasicHTTPAuth' \
    'WEBSOCKIFY_AUTH_SOURCE=jane:secret'
succeeds inside systemctl enable --now websockify@5991.socket
served 5991 --user jane:secret
fails 1 peer echo 5991 --user jane:wrong
fields() { inside journalctl --quiet --no-pager --since="@$since" --output=json "$@"; }
session=875642932ad646babf0c329bc09a2ad4
found() { [ -n "$(fields "MESSAGE_ID=$session" WEBSOCKIFY_IDENTITY=jane)" ]; }
eventually found
record=$(fields "MESSAGE_ID=$session" -t websockify -u websockify@5991.service)
has() { contains "$record" "\"$1\":\"$2" || fail "no $1=$2 in $record"; }
has WEBSOCKIFY_TARGET localhost:5900
has WEBSOCKIFY_SESSION 1
has WEBSOCKIFY_BYTES_IN 14
has WEBSOCKIFY_BYTES_OUT 14
has WEBSOCKIFY_DURATION_USEC ''
has WEBSOCKIFY_CLOSE_CODE 1000
has WEBSOCKIFY_CLOSED_BY client
has WEBSOCKIFY_CLIENT 127.0.0.1:
has PRIORITY 6
record=$(fields MESSAGE_ID=190f030622ea4a34b8ebb0e96dd582d1)
has WEBSOCKIFY_PLUGIN BasicHTTPAuth
# No record of any kind has the password, wrong or right.
! fields -u websockify@5991.service | grep -E 'secret|wrong"' || fail 'a password was logged'
explained=$(inside journalctl --quiet --no-pager --since="@$since" -x -u websockify@5991.service)
contains "$explained" 'with localhost:5900 is over' || fail "no explanation: $explained"
contains "$explained" 'ended by the client with close code 1000' || fail "no explanation: $explained"
# However many sessions there are, each leaves its record, where the journal lets others have a few.
mkdir -p "$(path /run/systemd/journald.conf.d)"
printf '[Journal]\nRateLimitIntervalSec=1h\nRateLimitBurst=5\n' >"$(path /run/systemd/journald.conf.d/few.conf)"
succeeds inside systemctl restart systemd-journald
succeeds peer edge 5991 --user jane:secret --count 300
records() { [ "$(fields "MESSAGE_ID=$session" -u websockify@5991.service | wc -l)" = 301 ]; }
eventually records
rm "$(path /run/systemd/journald.conf.d/few.conf)"
succeeds inside systemctl restart systemd-journald
