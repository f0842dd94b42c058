# The package's own tests, which Debian would run (autopkgtest(1)).
# shellcheck source=tests/package/steps
. "$here/../package/steps"
succeeds apt install python3 dpkg-dev dpkg-repack
# Depends: @ is all that is built.
policy=("$(dirname "$DEB")"/websockify-selinux_*_all.deb)
[ -e "${policy[0]}" ] || fail "there is no policy beside $DEB"
put "${policy[0]}" policy
mkdir -p "$(path /usr/src/websockify/tests/systemd)"
cp -r debian "$(path /usr/src/websockify/debian)"
cp tests/systemd/peer.py "$(path /usr/src/websockify/tests/systemd)"
for name in $(sed -n 's/^Tests: //p' debian/tests/control | tr -d ,); do
    echo "-- $name"
    # Restrictions: breaks-testbed. Here an instance is undone instead.
    succeeds apt install "$ours" /var/local/policy.deb
    inside sh -c 'cd /usr/src/websockify && AUTOPKGTEST_TMP=$(mktemp -d) exec "debian/tests/$0"' "$name" ||
        fail "$name ended with $?"
    inside systemctl disable --now websockify@6080.socket || true
    inside systemctl stop websockify@6080.service || true
done
