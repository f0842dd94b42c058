# Sessions outlive the process: through restarts, kills and the watchdog, no byte is lost, repeated or
# exchanged and no connection refused. ROUNDS= says how many of each. Upgrades are in tests/package.
read -r restarts kills hangs <<<"${ROUNDS:-20 20 5}"
configure 6031 'WEBSOCKIFY_TARGET=localhost:5906'
override websockify@6031.service '[Service]' 'WatchdogSec=2'
succeeds inside systemctl enable --now websockify@6031.socket

# round NAME COMMAND…: does it, and waits until sessions move again.
round() {
    "${@:2}" || fail "$*"
    moves "$1"
}
restart() { inside systemctl restart websockify@6031.service; }

# How long a pause is, where nothing else keeps the machine busy: a stamp each tenth of a second.
survive 6031 5906 0 50
for ((i = 0; i < 5; i++)); do round "calm-restart-$i" restart; done
summary calm-restart 5
none calm-restart wrong told_lost cut ended refused unanswered

# The signal of a restart without one, from somebody's hand.
for ((i = 0; i < 3; i++)); do round "calm-signal-$i" end_by websockify@6031.service -USR2; done
summary calm-signal 3
none calm-signal wrong told_lost cut ended refused unanswered

# 25 sessions that are full both ways, 25 with stamps; each byte is checked. And one that nobody
# uses: whatever happens, and whenever, nothing of it is under way.
survive 6031 5906 25 25
session quiet 6031
for ((i = 0; i < restarts; i++)); do round "restart-$i" restart; done
summary restart "$restarts"
none restart wrong told_lost cut ended refused unanswered
# What was under way cannot be known: such a session is ended, never gone on with.
for ((i = 0; i < kills; i++)); do round "kill-$i" end_by websockify@6031.service -KILL; done
summary kill "$kills"
none kill wrong ended refused
for ((i = 0; i < hangs; i++)); do round "hang-$i" end_by websockify@6031.service -STOP; done
summary hang "$hangs"
none hang wrong ended refused
says websockify@6031.service 'Watchdog timeout'
tell quiet 'after all of that'
