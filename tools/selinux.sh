#!/bin/sh
# Builds the policy, lints it, installs it beside Debian's in a folder (which takes no SELinux), and
# asks the result what it allows. How it does where it is enforced is `make test-selinux`.
set -eu
cd "$(dirname -- "$0")/.."
for tool in checkmodule selint sesearch semodule matchpathcon /etc/selinux/default; do
    command -v "$tool" >/dev/null || [ -d "$tool" ] || {
        echo "skipped: selinux::policy: there is no $tool here"
        [ -z "${SKIPS:-}" ] || echo "selinux::policy: there is no $tool here" >>"$SKIPS"
        exit 0
    }
done
make --silent selinux
built=$(realpath "${CARGO_TARGET_DIR:-target}/selinux")

# S-001 wants an interface for each type of another module; Debian's policy has none for those that
# websockifyd.te names at its top.
selint --fail --disable=S-001 selinux/websockifyd.te selinux/websockifyd.if selinux/websockifyd.fc
# Whoever reads a rule reads why it is there: above it, or above the few that belong together.
awk '
    /^[ \t]*#/ { said = 1; next }
    /^[ \t]*$/ { said = 0; next }
    /^########/ { rules = 1 }
    /^\t?(allow|[a-z0-9_]+)[ (].*[;)]$/ && !said && FNR > first { print FILENAME ":" FNR ": no reason: " $0; bad = 1 }
    END { exit bad }' first="$(grep -n '^# The bridge$' selinux/websockifyd.te | tail -n 1 | cut -d : -f 1)" \
    selinux/websockifyd.te

# A store like the machine's own.
store=$built/store
rm -rf "$store"
mkdir -p "$store/etc" "$store/var/lib"
cp -a /etc/selinux "$store/etc/"
cp -a /var/lib/selinux "$store/var/lib/"
# foreman-selinux labels /usr/bin/websockify. Two modules that label one path cannot be installed
# together, so ours goes in beside one that does.
cat >"$built/foreman_stub.cil" <<'STUB'
(type foreman_stub_websockify_exec_t)
(roletype object_r foreman_stub_websockify_exec_t)
(filecon "/usr/bin/websockify" file (system_u object_r foreman_stub_websockify_exec_t ((s0) (s0))))
STUB
semodule --path="$store" --store=default --noreload \
    --install="$built/foreman_stub.cil" --install="$built/websockifyd.pp"
# The types that these paths get from both policies together: a pattern of the other's may be the one that
# counts, and a bridge with the label of any program is confined by nothing.
while read -r path type; do
    got=$(matchpathcon -n -f "$store/etc/selinux/default/contexts/files/file_contexts" "$path" | cut -d : -f 3)
    [ "$got" = "$type" ] || { echo "FAILED: $path is $got, not $type"; exit 1; }
done <<'PATHS'
/usr/libexec/websockify/websockifyd websockifyd_exec_t
/usr/libexec/websockify/websockify-instance websockifyd_instance_exec_t
/usr/libexec/websockify/helpers/ldap websockifyd_helper_exec_t
/usr/local/libexec/websockify/websockifyd websockifyd_exec_t
/usr/local/libexec/websockify/websockify-instance websockifyd_instance_exec_t
/usr/local/libexec/websockify/helpers/ldap websockifyd_helper_exec_t
/usr/lib/systemd/system-generators/websockify-generator systemd_generator_exec_t
/usr/lib/websockify/rebind.so lib_t
/usr/lib/systemd/system/websockify@.service websockifyd_unit_t
/usr/local/lib/systemd/system/websockify@.socket websockifyd_unit_t
/usr/lib/systemd/system/websockify.target websockifyd_unit_t
/usr/lib/systemd/system/websockify-program@.service websockifyd_program_unit_t
/etc/websockify/desk.conf websockifyd_conf_t
/etc/websockify/vnc.key websockifyd_key_t
/etc/websockify/tls/vnc.key websockifyd_key_t
/etc/websockify/vnc.key.cred websockifyd_key_t
/etc/websockify/live/privkey3.pem websockifyd_key_t
/run/websockify/desk/control websockifyd_runtime_t
/var/lib/private/websockify/desk/session.1 websockifyd_record_t
/var/lib/websockify websockifyd_record_t
/var/log/private/websockify/desk.log websockifyd_log_t
PATHS
# Debian's Python is the one that setools is for.
/usr/bin/python3 tests/selinux/policy.py "$store"/etc/selinux/default/policy/policy.*
echo "$(grep -c '^	*[a-z].*[;)]$' selinux/websockifyd.te) rules, as tests/selinux/policy.py has them"
