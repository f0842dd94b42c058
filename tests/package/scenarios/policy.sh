# websockify-selinux beside Debian's policy: its module is there, below an administrator's own of the
# same name, and goes with the package. What it does is tests/selinux/run's.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
policy=("$(dirname "$DEB")"/websockify-selinux_*_all.deb)
[ -e "${policy[0]}" ] || fail "there is no policy beside $DEB"
put "${policy[0]}" policy
succeeds apt install "$ours" selinux-policy-default policycoreutils
files >"$scratch/before"
modules() { inside semodule --store=default --list-modules=full | grep websockifyd; }
succeeds apt install /var/local/policy.deb
[ "$(modules | tr -s ' ')" = '200 websockifyd pp ' ] || fail "modules: $(modules)"
contains "$(inside cat /etc/selinux/default/contexts/files/file_contexts)" websockifyd_exec_t || fail 'no labels'
succeeds apt purge websockify-selinux
! modules || fail 'the module is left'
files >"$scratch/after"
left=$(diff "$scratch/before" "$scratch/after" | grep '^>' | grep -v -e '  /etc/selinux/default/' -e ' /var/lib/selinux/default') || true
[ -z "$left" ] || fail "left: $left"
