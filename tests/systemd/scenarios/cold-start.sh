# How long the first client waits: from connect(2) to its first byte back, through a service that is
# not running yet. The figures are printed; the bound only tells a start from a hang.
target 5900
configure 6031 'WEBSOCKIFY_TARGET=127.0.0.1:5900' 'WEBSOCKIFY_IDLE_TIMEOUT=0'
succeeds inside systemctl enable --now websockify@6031.socket
for _ in 1 2 3 4 5 6 7; do
    cold=$(peer echo 6031) || fail 'not served'
    warm=$(peer echo 6031) || fail 'not served'
    active=$(property websockify@6031.service ActiveEnterTimestampMonotonic)
    # The last thing that the manager does before execve(2); systemd 254 and newer.
    handed=$(property websockify@6031.service ExecMainHandoffTimestampMonotonic)
    [ -z "$handed" ] || own="$((active - handed)) µs"
    echo "cold $cold, warm $warm, from execve to READY as the manager sees it: ${own:-not told}"
    succeeds inside systemctl stop websockify@6031.service
done
[ "${cold%%.*}" -lt 5000 ] || fail "the first client waited $cold"

# Beside it, where WEBSOCKIFY_PYTHON names one of this machine's Debian: Python websockify behind
# systemd-socket-proxyd, which is how it is given a socket of systemd's.
python_root=$(dirname -- "$(dirname -- "${WEBSOCKIFY_PYTHON:-/none/none/none}")")
if [ -x "$python_root/bin/python" ] && [ "$RELEASE" = "$(. /etc/os-release && echo "$VERSION_ID")" ]; then
    tar --create --dereference --hard-dereference --directory=/ --file=- \
        --exclude=__pycache__ --exclude='*/test' --ignore-failed-read \
        usr/bin/python3 usr/lib/python3.11 "${python_root#/}" \
        $(ldd /usr/bin/python3 | grep -o '/[^ ]*libexpat[^ ]*\|/[^ ]*libz[^ ]*\|/[^ ]*libpython[^ ]*' | sed 's|^/||') 2>/dev/null |
        tar --extract --directory="$(path /)" --keep-old-files 2>/dev/null || true
    unit() { printf '%s\n' "${@:2}" >"$(path "/run/systemd/system/$1")"; }
    mkdir -p "$(path /run/systemd/system)"
    unit python.socket '[Socket]' ListenStream=6032
    unit python.service '[Unit]' 'Requires=bridge.service' 'After=bridge.service' '[Service]' \
        'ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:6033'
    # It does not say when it is ready; the proxy would lose the first client.
    unit bridge.service '[Service]' \
        "ExecStart=$python_root/bin/python $python_root/bin/websockify 127.0.0.1:6033 127.0.0.1:5900" \
        "ExecStartPost=/bin/sh -c 'until ss -Hltn | grep -q :6033; do sleep 0.01; done'"
    succeeds inside systemctl daemon-reload
    succeeds inside systemctl start python.socket
    for _ in 1 2 3 4 5 6 7; do
        cold=$(peer echo 6032) || fail 'Python websockify does not serve'
        warm=$(peer echo 6032) || fail 'Python websockify does not serve'
        echo "Python websockify and systemd-socket-proxyd: cold $cold, warm $warm"
        succeeds inside systemctl stop python.service bridge.service
    done
    succeeds inside systemctl stop python.socket
fi
