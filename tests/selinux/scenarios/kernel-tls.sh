# Sessions inside TLS outlive the process where the kernel does TLS: to their client, to their target,
# by each version and each cipher. Their peers are Python and OpenSSL, which know nothing of the
# kernel's part. tests/it/tls/kernel.rs has more of the same; this is the service as it is installed.
part() { echo "after $((SECONDS - begun)) s: $*"; }
begun=$SECONDS
ca=/etc/ssl/test/vnc.pem
certificate vnc localhost
target 5900
tls=("WEBSOCKIFY_CERT=$ca" 'WEBSOCKIFY_KEY=/etc/ssl/test/vnc.key')
! lsmod | grep -q '^tls ' || fail 'somebody else has loaded the module'

# all_go_along UNIT: no session of it ends with a restart.
all_go_along() { [[ $(status_line "$1") == *session*" served"* && $(status_line "$1") != *restart* ]]; }
started_anew() {
    local now
    now=$(main_pid "$1")
    [ "$now" != 0 ] && [ "$now" != "$before" ] && [ "$(property "$1" SubState)" = running ]
}
# killed UNIT: by SIGKILL, and started anew.
killed() {
    before=$(main_pid "$1")
    kill -KILL "$before"
    eventually started_anew "$1"
}

# Each cipher, and TLS to the target: at 5907 and 5908, in front of the one at 5900.
configure 6052 'WEBSOCKIFY_TARGET=localhost:5900' "${tls[@]}" \
    'WEBSOCKIFY_SSL_CIPHERS=TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256'
configure 6053 'WEBSOCKIFY_TARGET=localhost:5900' "${tls[@]}" \
    'WEBSOCKIFY_SSL_CIPHERS=TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305'
for version in 1.2 1.3; do
    port=$([ $version = 1.2 ] && echo 6054 || echo 6055)
    tunnel $((port - 147)) 5900 --certificate $ca --key /etc/ssl/test/vnc.key --tls-version $version
    configure "$port" "WEBSOCKIFY_TARGET=localhost:$((port - 147))" "${tls[@]}" WEBSOCKIFY_SSL_TARGET=1 \
        "WEBSOCKIFY_SSL_TARGET_CAFILE=$ca"
done
for port in 6052 6053 6054 6055; do
    part "restart and SIGKILL of what is at $port"
    unit=websockify@$port.service
    succeeds inside systemctl enable --now "websockify@$port.socket"
    for version in 1.2 1.3; do
        session "at-$port-$version" "$port" --tls $ca --tls-version $version
        tell "at-$port-$version" "before, by $version"
    done
    says "$unit" 'the kernel does TLS'
    eventually all_go_along "$unit"
    succeeds inside systemctl restart "$unit"
    for version in 1.2 1.3; do tell "at-$port-$version" "after a restart, by $version"; done
    eventually at_rest "$unit"
    killed "$unit"
    for version in 1.2 1.3; do tell "at-$port-$version" "after SIGKILL, by $version"; done
    inside systemctl stop "websockify@$port.socket" "$unit"
    for version in 1.2 1.3; do ended "at-$port-$version" 'closed 1001'; done
    [ "$(property "$unit" NFileDescriptorStore)" = 0 ] || fail 'something is left in the store'
done

# flows NAME: waits until a megabyte more has arrived, which stamps alone do not make.
flows() {
    local part=0 bytes=0
    while [ "$bytes" -lt 1000000 ]; do
        sleep 0.2
        counted "$1.$part"
        bytes=$((bytes + $(value "$1.$part" right_bytes)))
        part=$((part + 1))
    done
}
# Every byte of sessions that are full both ways is checked. Two of them keep the machine busy enough.
unit=websockify@6051.service
configure 6051 'WEBSOCKIFY_TARGET=localhost:5906' "${tls[@]}"
succeeds inside systemctl enable --now websockify@6051.socket
for version in 1.2 1.3; do
    at=$([ $version = 1.2 ] && echo 6151 || echo 6152)
    tunnel "$at" 6051 --tls $ca --tls-version $version
    survive "$at" 5906 1 1 0
    flows "begin-$version"
    eventually all_go_along $unit
    part "restarts at full speed, by $version"
    for ((i = 0; i < 3; i++)); do
        succeeds inside systemctl restart $unit
        flows "restart-$version-$i"
    done
    summary "restart-$version" 3
    none "restart-$version" wrong told_lost cut ended
    part "kills at full speed, by $version"
    for ((i = 0; i < 3; i++)); do
        killed $unit
        flows "kill-$version-$i"
    done
    summary "kill-$version" 3
    none "kill-$version" wrong ended
done
part 'new keys'
exec {survive_in}>&-
inside systemctl stop websockify@6051.socket $unit

# A client that wants new keys, which the kernel does not do, is ended, and it alone.
unit=websockify@6056.service
configure 6056 'WEBSOCKIFY_TARGET=localhost:5900' "${tls[@]}"
succeeds inside systemctl enable --now websockify@6056.socket
# TLS's own goodbye is said, too.
for version in 1.2 1.3; do served 6056 --tls $ca --tls-version $version; done
session beside 6056 --tls $ca
mkfifo "$scratch/openssl.in"
openssl s_client -connect localhost:6056 -servername localhost -CAfile $ca -tls1_3 \
    <"$scratch/openssl.in" >"$scratch/openssl.out" 2>&1 &
client=$!
exec {openssl_in}>"$scratch/openssl.in"
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n%s\r\n\r\n' \
    'Sec-WebSocket-Version: 13' 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' >&"$openssl_in"
eventually grep -q '101 Switching' "$scratch/openssl.out"
eventually all_go_along $unit
echo k >&"$openssl_in"
says $unit 'code=1006'
says $unit 'changes its keys (KeyUpdate)'
wait $client || true
grep -qi 'unexpected message' "$scratch/openssl.out" || fail "$(tail -n 5 "$scratch/openssl.out")"
tell beside 'while another wanted new keys'
inside systemctl stop websockify@6056.socket $unit

part 'no module'
# Without the module it is as it was: they are waited for.
gone() { rmmod tls; }
eventually gone
echo 'blacklist tls' >/etc/modprobe.d/no-tls.conf
inside systemctl start websockify@6056.socket
session without 6056 --tls $ca
tell without 'by OpenSSL alone'
says $unit 'the kernel does no TLS'
status_is $unit '1 session (1 of them end with a restart)*' || fail "$(status_line $unit)"
rm /etc/modprobe.d/no-tls.conf
