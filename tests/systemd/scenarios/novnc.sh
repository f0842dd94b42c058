# A desktop in a real browser goes on through restarts and kills of the service, and looks the same.
[ -e /usr/share/novnc/vnc_lite.html ] || fail 'there is no noVNC; see tools/setup-test.sh'
mkdir -p "$(path /srv)"
cp -rL /usr/share/novnc "$(path /srv/novnc)"
configure 6041 'WEBSOCKIFY_TARGET=localhost:5941' 'WEBSOCKIFY_WEB=/srv/novnc'
succeeds inside systemctl enable --now websockify@6041.socket
# What the browser's side does to the service; both return when it serves again.
enter="nsenter -t $INIT -m -u -i -n -p -C --"
service=websockify@6041.service
restart="$enter systemctl restart $service"
# One that is killed in the middle of something is not gone on with: first it is at rest.
kill="$enter sh -c 'rest() {
        for memory in /proc/\$(systemctl show --value -p MainPID $service)/fd/*; do
            case \$(readlink \$memory) in
            */memfd:websockify-session*) [ \$(head -c 7 \$memory) = wsstill ] || return 1 ;;
            esac
        done
    }
    until rest; do sleep 0.05; done
    old=\$(systemctl show --value -p NRestarts $service)
    systemctl kill -s KILL --kill-who=main $service
    until [ \$(systemctl show --value -p NRestarts $service) != \$old ] &&
        [ \$(systemctl is-active $service) = active ]; do sleep 0.05; done'"
nsenter -t "$INIT" -n -- node "$here/../browser/survival.mjs" --url http://127.0.0.1:6041/vnc_lite.html \
    --vnc-port 5941 --restart "$restart" --kill "$kill" ${SHOTS:+--shots "$SHOTS"} || fail 'see above'
rm -r "$(path /srv/novnc)"
