# Sessions inside TLS outlive the process where the kernel does TLS: to their client, to their target
# and both, by each version and each cipher. A few restarts do,
# for tests/systemd/scenarios/survival.sh has many. Every byte is checked;
# peers of Python and OpenSSL know nothing of the kernel's part.
rounds=3
certificate vnc localhost
ca=/etc/ssl/test/vnc.pem
tls=("WEBSOCKIFY_CERT=$ca" 'WEBSOCKIFY_KEY=/etc/ssl/test/vnc.key')
target 5900
lsmod | grep -q '^tls ' && fail 'somebody else has loaded the module'

# round UNIT NAME: restarts it, and waits until bytes arrive again.
round() {
    succeeds inside systemctl restart "$1"
    moves "$2"
}
# all_go_along UNIT: no session of it ends with a restart.
all_go_along() { ! status_is "$1" '*end with a restart*' || fail "$(status_line "$1")"; }

# What survive says goes through TLS to the bridge and from there on.
declare -A ciphers=(
    [6051]='TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384'
    [6052]='TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256'
    [6053]='TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305'
)
tunnel_at=6151
for port in 6051 6052 6053; do
    unit=websockify@$port.service
    configure $port 'WEBSOCKIFY_TARGET=localhost:5906' "${tls[@]}" "WEBSOCKIFY_SSL_CIPHERS=${ciphers[$port]}"
    succeeds inside systemctl enable --now websockify@$port.socket
    for version in 1.2 1.3; do
        tunnel $tunnel_at $port --tls $ca --tls-version $version
        survive $tunnel_at 5906 2 2
        all_go_along $unit
        for ((i = 0; i < rounds; i++)); do round $unit "restart-$port-$version-$i"; done
        summary "restart-$port-$version" "$rounds"
        none "restart-$port-$version" wrong told_lost cut ended unanswered
        tunnel_at=$((tunnel_at + 1))
    done
    says $unit 'the kernel does TLS'
done

# TLS on both sides: the targets' at 5907 and 5909, and what is in it at 5906.
for version in 1.2 1.3; do
    port=$([ $version = 1.2 ] && echo 6054 || echo 6056)
    unit=websockify@$port.service at=$((port - 147))
    configure "$port" "WEBSOCKIFY_TARGET=localhost:$at" "${tls[@]}" WEBSOCKIFY_SSL_TARGET=1 \
        "WEBSOCKIFY_SSL_TARGET_CAFILE=$ca"
    succeeds inside systemctl enable --now "websockify@$port.socket"
    tunnel $at 5906 --certificate $ca --key /etc/ssl/test/vnc.key --tls-version $version
    tunnel $tunnel_at "$port" --tls $ca
    survive $tunnel_at 5906 2 2
    all_go_along "$unit"
    for ((i = 0; i < rounds; i++)); do round "$unit" "target-$version-$i"; done
    summary "target-$version" "$rounds"
    none "target-$version" wrong told_lost cut ended unanswered
    tunnel_at=$((tunnel_at + 1))
done

# SIGKILL: one at rest goes on, and one that is not is never gone on with.
started_anew() {
    local now
    now=$(main_pid "$1")
    [ "$now" != 0 ] && [ "$now" != "$before" ] && [ "$(property "$1" SubState)" = running ]
}
unit=websockify@6055.service
configure 6055 'WEBSOCKIFY_TARGET=localhost:5900' "${tls[@]}"
succeeds inside systemctl enable --now websockify@6055.socket
for version in 1.2 1.3; do
    session "quiet-$version" 6055 --tls $ca --tls-version $version
    tell "quiet-$version" "before a kill, by $version"
done
eventually at_rest $unit
for ((i = 0; i < 3; i++)); do
    before=$(main_pid $unit)
    kill -KILL "$before"
    eventually started_anew $unit
    for version in 1.2 1.3; do tell "quiet-$version" "behind kill $i, by $version"; done
    eventually at_rest $unit
done
unit=websockify@6051.service
tunnel $tunnel_at 6051 --tls $ca
survive $tunnel_at 5906 2 2
for ((i = 0; i < 3; i++)); do
    before=$(main_pid $unit)
    kill -KILL "$before"
    eventually started_anew $unit
    moves "kill-$i"
done
summary kill 3
none kill wrong ended

# TLS's own goodbye is said, by a session of this process and by one of an earlier.
for version in 1.2 1.3; do served 6055 --tls $ca --tls-version $version; done
unit=websockify@6055.service

# A client that wants new keys, which the kernel does not do, is ended, and it alone.
mkfifo "$scratch/openssl.in"
openssl s_client -connect localhost:6055 -servername localhost -CAfile $ca -tls1_3 \
    <"$scratch/openssl.in" >"$scratch/openssl.out" 2>&1 &
client=$!
exec {openssl_in}>"$scratch/openssl.in"
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n%s\r\n\r\n' \
    'Sec-WebSocket-Version: 13' 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' >&"$openssl_in"
eventually grep -q '101 Switching' "$scratch/openssl.out"
all_go_along $unit
echo k >&"$openssl_in"
says $unit 'code=1006'
wait $client || true
grep -qi 'unexpected message' "$scratch/openssl.out" || fail "$(tail -n 5 "$scratch/openssl.out")"
for version in 1.2 1.3; do
    tell "quiet-$version" "beside new keys, by $version"
done

inside systemctl stop websockify@6055.socket $unit
for version in 1.2 1.3; do ended "quiet-$version" 'closed 1001'; done
[ "$(property $unit NFileDescriptorStore)" = 0 ] || fail 'something is left in the store'

# Without the module it is as it was: they are waited for.
for port in 6051 6052 6053 6054 6056; do
    inside systemctl stop websockify@$port.socket websockify@$port.service
done
exec {survive_in}>&-
gone() { rmmod tls; }
eventually gone
echo 'blacklist tls' >/etc/modprobe.d/no-tls.conf
inside systemctl start websockify@6055.socket
session without 6055 --tls $ca
tell without 'by OpenSSL alone'
says $unit 'the kernel does no TLS'
status_is $unit '1 session (1 of them end with a restart)*' || fail "$(status_line $unit)"
rm /etc/modprobe.d/no-tls.conf
