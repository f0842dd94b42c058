# websockify.target restarts all services, which a package's upgrade does, and ends them; sockets stay.
target 5900
for port in 6011 6012; do
    configure "$port" 'WEBSOCKIFY_TARGET=localhost:5900'
    succeeds inside systemctl enable --now "websockify@$port.socket"
    served "$port"
done
first=$(main_pid websockify@6011.service) second=$(main_pid websockify@6012.service)
succeeds inside systemctl restart websockify.target
served 6011
served 6012
[ "$(main_pid websockify@6011.service)" != "$first" ] || fail 'not restarted'
[ "$(main_pid websockify@6012.service)" != "$second" ] || fail 'not restarted'
is websockify@6011.socket active
succeeds inside systemctl stop websockify.target
is websockify@6011.service inactive
is websockify@6011.socket active
served 6011
served 6012
# As websockify@.service(8) says all is stopped.
succeeds inside systemctl stop 'websockify@*.socket'
for port in 6011 6012; do
    eventually state_is "websockify@$port.service" inactive
    fails 1 peer echo "$port"
done
succeeds inside systemctl start websockify.target
