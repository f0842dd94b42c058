# What a bridge is for goes on working in the sandbox: names, also when their files are replaced;
# pages; passwords that change; sessions.
echo '127.0.0.1 localhost' >"$(path /etc/hosts)"
target 5900
mkdir -p "$(path /srv/web)"
echo 'a page' >"$(path /srv/web/page.html)"
configure 5951 'WEBSOCKIFY_TARGET=desk.test:5900' 'WEBSOCKIFY_WEB=/srv/web' 'WEBSOCKIFY_HEALTH_PATH=/ok'
succeeds inside systemctl enable --now websockify@5951.socket
page() { nsenter -t "$INIT" -n -- curl --silent --fail "http://localhost:5951$1"; }
contains "$(page /page.html)" 'a page' || fail 'no page'
eventually status_is websockify@5951.service '*, sandbox full'
fails 1 peer echo 5951
says websockify@5951.service 'cannot connect to desk.test:5900'
# A new file in the place of the old.
echo '127.0.0.1 localhost desk.test' >"$(path /etc/hosts.new)"
mv "$(path /etc/hosts.new)" "$(path /etc/hosts)"
served 5951
# The name's server, in a file that is replaced as well.
peer dns 53 --name other.test --address 127.0.0.1 >"$scratch/dns" 2>&1 &
eventually grep -q listening "$scratch/dns"
echo 'nameserver 127.0.0.1' >"$(path /etc/resolv.conf.new)"
mv "$(path /etc/resolv.conf.new)" "$(path /etc/resolv.conf)"
configure 5952 'WEBSOCKIFY_TARGET=other.test:5900'
succeeds inside systemctl enable --now websockify@5952.socket
served 5952
# A page that is replaced.
echo 'another page' >"$(path /srv/web/new.html)"
mv "$(path /srv/web/new.html)" "$(path /srv/web/page.html)"
contains "$(page /page.html)" 'another page' || fail 'the old page'
