# systemd finds nothing wrong with the units, and little that they leave open.
configure 5901 'WEBSOCKIFY_TARGET=192.0.2.1:5900'
configure 5902 'WEBSOCKIFY_TARGET=localhost:5900'
configure 5903 'WEBSOCKIFY_UNIX_TARGET=/run/target.sock'
configure 5904 'WEBSOCKIFY_WRAP=sleep "%i $HOME"' 'WEBSOCKIFY_WRAP_USER=mail'
succeeds inside systemctl daemon-reload
complaints=$(inside systemd-analyze verify --generators=yes --recursive-errors=no --man=no websockify.target \
    websockify@5901.socket websockify@590{1,2,3,4}.service websockify-program@5904.service 2>&1) || fail "verify: $complaints"
[ -z "$complaints" ] || fail "verify: $complaints"
# threshold TENTHS INSTANCE
threshold() {
    local found
    found=$(inside systemd-analyze security --threshold="$1" "websockify@$2.service") ||
        fail "above $1: $(grep -e ✗ -e → <<<"$found")"
    tail -n 1 <<<"$found"
}
threshold 11 5901
threshold 9 5902
threshold 2 5903
threshold 9 5904
contains "$(inside systemctl show --property=ExecStart websockify-program@5904.service)" \
    'argv[]=sleep %i $HOME ;' || fail "$(inside systemctl show --property=ExecStart websockify-program@5904.service)"
