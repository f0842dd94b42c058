# A program that is asked where tokens lead, beneath a bridge that is in all of its sandbox: it reads
# what the bridge cannot, is started again after a crash and at a reload, and ends with the bridge.
target 5900
mkdir -p "$(path /usr/local/share/tokens)"
echo 5900 >"$(path /usr/local/share/tokens/known)"
# The shell's own words are enough: nothing else may be executed.
cat >"$(path /usr/local/bin/where)" <<'SCRIPT'
#!/bin/sh
while read -r question; do
    id=${question#*'"id":'} id=${id%%[!0-9]*}
    case $question in
    *'"stage":"start"'*) echo "{\"id\":$id,\"protocol\":1}" ;;
    *)
        token=${question#*'"token":"'} token=${token%%\"*}
        if read -r port <"$1/$token"; then
            echo "{\"id\":$id,\"target\":{\"host\":\"localhost\",\"port\":$port}}"
        else
            echo "{\"id\":$id,\"target\":null}"
        fi
        ;;
    esac
done
SCRIPT
chmod 755 "$(path /usr/local/bin/where)"
configure 6091 'WEBSOCKIFY_TOKEN_PLUGIN=Exec' "WEBSOCKIFY_TOKEN_SOURCE='where /usr/local/share/tokens'"
succeeds inside systemctl enable --now websockify@6091.socket
unit=websockify@6091.service
served 6091 --path '/?token=known'
fails 1 peer echo 6091 --path '/?token=unknown'
eventually status_is $unit '*, sandbox full'
# The one process of it.
helper() { inside pgrep --full '^/bin/sh .*/where '; }
other_than() { [ -n "$(helper)" ] && [ "$(helper)" != "$1" ]; }
begun=$(helper)
[ "$(inside ps -o user= -p "$begun")" = "$(inside ps -o user= -p "$(main_pid $unit)")" ] ||
    fail 'the helper is another user'
session open 6091 --path '/?token=known'
succeeds inside kill -KILL "$begun"
says $unit 'starting it again'
says $unit 'serves again'
tell open 'still here'
served 6091 --path '/?token=known'
again=$(helper)
succeeds inside systemctl reload $unit
says $unit 'reloaded'
eventually other_than "$again"
served 6091 --path '/?token=known'
tell open 'and here'
# Without what starts helpers the bridge is of no use: it is started anew, and sessions go on.
process=$(main_pid $unit)
succeeds inside pkill --signal KILL --full -- '--start-helper where'
says $unit 'the process that starts helper where is gone'
eventually logged $unit '1 of 1 sessions of the process before go on'
[ "$(main_pid $unit)" != "$process" ] || fail 'it goes on without'
tell open 'in the next process'
served 6091 --path '/?token=known'
# The program and its interpreter, and no other.
contains "$(property $unit ExecPaths)" '/usr/local/bin/where' || fail 'the generator named no helper'
[ "$(property $unit KillMode)" = mixed ] || fail 'systemd ends the helper before the last session'
succeeds inside systemctl stop $unit
ended open 'closed 1001'
! helper || fail 'the helper is left'
[ "$(property $unit Result)" = success ] || fail "it ended with $(property $unit Result)"
rm -r "$(path /usr/local/bin/where)" "$(path /usr/local/share/tokens)"
