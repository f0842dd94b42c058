# The generator takes whatever lies in /etc/websockify, at once and without a word, and goes on to
# the instances that mean something.
target 5900
folder=$(path /etc/websockify)
configure good 'WEBSOCKIFY_LISTEN=127.0.0.1:6001' 'WEBSOCKIFY_TARGET=localhost:5900'
instances+=(garbage empty huge pipe folder zero loop)
head -c 50000 /dev/urandom >"$folder/garbage.conf"
: >"$folder/empty.conf"
head -c 50000000 /dev/zero >"$folder/huge.conf"
mkfifo "$folder/pipe.conf"
mkdir -p "$folder/folder.conf"
ln -sf /dev/zero "$folder/zero.conf"
ln -sf loop.conf "$folder/loop.conf"
cp "$folder/good.conf" "$folder/"$'a name\nwith a line.conf'
configure inject 'WEBSOCKIFY_LISTEN="6002' 'ExecStartPre=/usr/bin/touch /run/injected"' \
    'WEBSOCKIFY_CERT="/etc/x' 'ExecStartPre=/usr/bin/touch /run/injected"'
begun=$(date +%s%N)
succeeds inside /usr/lib/systemd/system-generators/websockify-generator /run/generated /run/early /run/late
took=$((($(date +%s%N) - begun) / 1000))
echo "the generator and its start in a container: $took µs"
[ "$took" -lt 1000000 ] || fail "it took $took µs"
made=$(ls "$(path /run/generated)")
contains "$made" 'websockify@good.socket.d' || fail "made: $made"
! contains "$made" 'a name' || fail "made: $made"
! grep -r injected "$(path /run/generated)" || fail 'a file got a line of its own into a unit'
rm -rf "$(path /run/generated)"
succeeds inside systemctl daemon-reload
succeeds inside systemctl enable --now websockify@good.socket
served 6001
rm "$folder/"$'a name\nwith a line.conf'
