# Everything of the bridge's has the label that selinux/websockifyd.fc gives it, and each process
# runs in its domain.
target 5900
certificate one localhost
configure 6051 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@6051.socket
served 6051
type_of() { stat --format=%C "$1" | cut -d : -f 3; }
# labelled PATH TYPE: as it is, and as restorecon would have it.
labelled() {
    [ "$(type_of "$1")" = "$2" ] || fail "$1 is $(type_of "$1"), not $2"
    matchpathcon -V "$1" || fail "$1 would be relabelled"
}
labelled /usr/libexec/websockify/websockifyd websockifyd_exec_t
labelled /usr/libexec/websockify/websockify-instance websockifyd_instance_exec_t
labelled /usr/lib/systemd/system-generators/websockify-generator systemd_generator_exec_t
labelled /usr/lib/websockify/rebind.so lib_t
labelled /usr/lib/systemd/system/websockify@.service websockifyd_unit_t
labelled /usr/lib/systemd/system/websockify@.socket websockifyd_unit_t
labelled /usr/lib/systemd/system/websockify.target websockifyd_unit_t
labelled /etc/websockify/6051.conf websockifyd_conf_t
labelled /run/websockify websockifyd_runtime_t
labelled /run/websockify/6051 websockifyd_runtime_t
labelled /run/websockify/6051/control websockifyd_runtime_t
# Not ours, but foreman's.
[ "$(matchpathcon -n /usr/bin/websockify)" != "$(matchpathcon -n /usr/libexec/websockify/websockifyd)" ] ||
    fail '/usr/bin/websockify has a label of ours'
for name in vnc.key tls/vnc.key vnc.key.cred live/privkey.pem live/privkey3.pem; do
    [ "$(matchpathcon -n "/etc/websockify/$name" | cut -d : -f 3)" = websockifyd_key_t ] || fail "$name is no key"
done
domain=$(cut -d : -f 3 "/proc/$(main_pid websockify@6051.service)/attr/current" | tr -d '\0')
[ "$domain" = websockifyd_t ] || fail "the bridge is in $domain"
