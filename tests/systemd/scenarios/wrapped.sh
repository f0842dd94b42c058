# Programs behind instances, in units of their own: a VNC server whose desktop outlives its viewers,
# and telnetd, anew for each client. What the end of each means is WEBSOCKIFY_WRAP_MODE's to say.
inside useradd --create-home --shell /bin/sh alice
program() { main_pid "websockify-program@$1.service"; }
sub_state_is() { [ "$(property "$1" SubState)" = "$2" ]; }
# greets PORT TEXT: what the program says first, through the bridge.
greets() { succeeds peer greeting "$1" "$2"; }

# A desktop: its port is moved, and its bridge comes and goes.
configure 5901 'WEBSOCKIFY_WRAP=Xvnc :1 -geometry 640x480 -SecurityTypes None' 'WEBSOCKIFY_WRAP_USER=alice' \
    'WEBSOCKIFY_WRAP_MODE=respawn'
succeeds inside systemctl enable --now websockify@5901.socket
greets 5901 'RFB 003.008'
desktop=$(program 5901)
[ "$(inside ps -o user= -p "$desktop")" = alice ] || fail 'it is not run by alice'
eventually status_is websockify@5901.service '*Xvnc in a unit of its own, sandbox full'
! inside ss -Hltn 'sport = :5901' | grep -v '\*:5901' || fail 'two listen on port 5901'
contains "$(inside ss -Hltn 'sport = :62365')" 127.0.0.1:62365 || fail 'its port is not moved'
says websockify-program@5901.service 'Listening for VNC connections'
[ "$(inside cat "/proc/$desktop/environ" | tr '\0' '\n' | grep -c WEBSOCKIFY_)" = 0 ] || fail 'it has our variables'
succeeds inside systemctl restart websockify@5901.service
greets 5901 'RFB 003.008'
inside systemctl kill --signal=KILL websockify@5901.service
greets 5901 'RFB 003.008'
succeeds inside systemctl stop websockify@5901.service
greets 5901 'RFB 003.008'
succeeds inside systemctl restart websockify.target
greets 5901 'RFB 003.008'
succeeds inside systemctl daemon-reload
[ "$(program 5901)" = "$desktop" ] || fail 'the desktop was started again'
# Who comes while it is started again waits for it.
inside kill -KILL "$desktop"
greets 5901 'RFB 003.008'
[ "$(program 5901)" != "$desktop" ] || fail 'the desktop is still the old one'
succeeds inside systemctl disable --now websockify@5901.socket
eventually state_is websockify-program@5901.service inactive
is websockify@5901.service inactive

# vncserver goes to the background, and says itself where it listens.
printf '#!/bin/sh\nexec sleep 1d\n' >"$(path /home/alice/session)"
chmod 755 "$(path /home/alice/session)"
configure desk 'WEBSOCKIFY_LISTEN=6081' 'WEBSOCKIFY_TARGET=localhost:5902' 'WEBSOCKIFY_WRAP_MODE=ignore' \
    "WEBSOCKIFY_WRAP=vncserver :2 -localhost yes -SecurityTypes None -xstartup '/home/alice/session'" \
    'WEBSOCKIFY_WRAP_USER=alice'
succeeds inside systemctl enable --now websockify@desk.socket
greets 6081 'RFB 003.008'
eventually sub_state_is websockify-program@desk.service exited
[ "$(inside ps -o user= -C Xtigervnc)" = alice ] || fail 'not one desktop of alice'
succeeds inside systemctl stop websockify@desk.socket
eventually state_is websockify-program@desk.service inactive
! inside pgrep Xtigervnc || fail 'a desktop is left'

# A telnetd for each client, by who serves one and ends. IAC WILL is how it begins (RFC 854).
configure 23 'WEBSOCKIFY_WRAP=busybox nc -l -p 23 -e /usr/sbin/telnetd' 'WEBSOCKIFY_WRAP_USER=root' \
    'WEBSOCKIFY_WRAP_MODE=respawn'
succeeds inside systemctl enable --now websockify@23.socket
greets 23 $'\377\373'
greets 23 $'\377\373'
succeeds inside systemctl stop websockify@23.socket

# exit, which is websockify's: when the program ends, all does.
configure 5903 'WEBSOCKIFY_WRAP=Xvnc :3 -SecurityTypes None' 'WEBSOCKIFY_WRAP_USER=alice'
succeeds inside systemctl enable --now websockify@5903.socket
greets 5903 'RFB 003.008'
inside kill -KILL "$(program 5903)"
eventually state_is websockify@5903.socket inactive
eventually state_is websockify@5903.service inactive
is websockify-program@5903.service failed
succeeds inside systemctl start websockify@5903.socket
greets 5903 'RFB 003.008'
desktop=$(program 5903)
succeeds inside systemctl restart websockify@5903.socket
eventually peer greeting 5903 'RFB 003.008'
[ "$(program 5903)" != "$desktop" ] || fail 'the desktop was not started again'

# What cannot be run is refused where it is enabled, and does not run.
refused() {
    fails 1 inside systemctl enable --now websockify@5904.socket
    says websockify@5904.socket "$1"
    is websockify-program@5904.service inactive
    ! inside pgrep -f 'Xvnc :4' || fail 'the program runs'
}
configure 5904 'WEBSOCKIFY_WRAP=Xvnc :4'
refused 'does not say whose program Xvnc is: add a line WEBSOCKIFY_WRAP_USER='
configure 5904 'WEBSOCKIFY_WRAP=Xvnc :4' 'WEBSOCKIFY_WRAP_USER=nobody-here'
refused "there is no user 'nobody-here' here"
configure 5904 'WEBSOCKIFY_WRAP=no-such-program :4' 'WEBSOCKIFY_WRAP_USER=alice'
refused 'cannot run no-such-program: there is no such program'
configure 5904 "WEBSOCKIFY_WRAP=Xvnc ':4" 'WEBSOCKIFY_WRAP_USER=alice'
refused 'WEBSOCKIFY_WRAP: missing closing quote'
configure 5904 'WEBSOCKIFY_WRAP=Xvnc :4' 'WEBSOCKIFY_WRAP_USER=alice' 'WEBSOCKIFY_TOKEN_PLUGIN=TokenFile' \
    'WEBSOCKIFY_TOKEN_SOURCE=/etc/tokens'
refused 'WEBSOCKIFY_WRAP, tokens and WEBSOCKIFY_DEMO exclude each other'
# So it is by a restart; mended, it runs as the file says now.
configure 5904 'WEBSOCKIFY_WRAP=Xvnc :4 -SecurityTypes None' 'WEBSOCKIFY_WRAP_USER=alice'
succeeds inside systemctl enable --now websockify@5904.socket
greets 5904 'RFB 003.008'
configure 5904 'WEBSOCKIFY_WRAP=Xvnc :4 -desktop mended -SecurityTypes None' 'WEBSOCKIFY_WRAP_USER=alice' \
    'WEBSOCKIFY_WEB=/nowhere'
succeeds inside systemctl daemon-reload
fails 1 inside systemctl restart websockify@5904.socket
is websockify-program@5904.service inactive
is websockify@5904.service inactive
sed -i '/WEB=/d' "$(path /etc/websockify/5904.conf)"
succeeds inside systemctl start websockify@5904.socket
greets 5904 'RFB 003.008'
succeeds inside pgrep -f 'Xvnc :4 -desktop mended'

# Taken out of the file, or with it, the program ends.
configure 5904 'WEBSOCKIFY_TARGET=localhost:5902'
succeeds inside systemctl daemon-reload
succeeds inside systemctl restart websockify@5904.socket
eventually state_is websockify-program@5904.service inactive
! inside pgrep -f 'Xvnc :4' || fail 'the program runs on'
is websockify@5904.socket active
configure 5904 'WEBSOCKIFY_WRAP=Xvnc :4 -SecurityTypes None' 'WEBSOCKIFY_WRAP_USER=alice'
succeeds inside systemctl daemon-reload
succeeds inside systemctl restart websockify@5904.socket
greets 5904 'RFB 003.008'
rm "$(path /etc/websockify/5904.conf)"
succeeds inside systemctl daemon-reload
fails 1 inside systemctl restart websockify@5904.socket
is websockify-program@5904.service inactive
! inside pgrep -f 'Xvnc :4' || fail 'the program runs on'

# 10439 is 5903 and a whole round of places. Who is first is not disturbed by a file.
configure 10439 'WEBSOCKIFY_WRAP=Xvnc :4' 'WEBSOCKIFY_WRAP_USER=alice'
fails 1 inside systemctl start websockify@10439.socket
says websockify@10439.socket 'would be moved to where /etc/websockify/5903.conf has its own'
succeeds inside systemctl restart websockify@5903.socket
succeeds inside systemctl stop websockify@5903.socket
fails 1 inside systemctl start websockify@10439.socket
succeeds inside systemctl disable websockify@5903.socket
succeeds inside systemctl start websockify@10439.socket
fails 1 inside systemctl start websockify@5903.socket
says websockify@5903.socket 'would be moved to where /etc/websockify/10439.conf has its own'
