# The README's commands for a server, as they stand there: the package, an instance with noVNC, and
# certbot with its hook, by an authority of this machine's own.
# shellcheck source=tests/package/steps
. "$here/../package/steps"

printf '#!/bin/sh\nexec "$@"\n' >"$(path /usr/local/bin/sudo)"
chmod 755 "$(path /usr/local/bin/sudo)"
# follow NAME [VARIABLE…]: the block of the README, at a terminal, where the package was downloaded to.
follow() {
    block "$1" >"$(path /var/local/block)"
    succeeds inside env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:2}" \
        script -qec 'cd /var/local && sh -ex block' /dev/null </dev/null
}

target 5900
instances+=(6080 443)
install -m 644 "$DEB" "$(path "/var/local/websockify_1.0.0-1_amd64.deb")"
follow package DEBIAN_FRONTEND=noninteractive
served 6080
inside systemctl disable --quiet --now websockify@6080.socket
inside systemctl stop websockify@6080.service

# Debian's package, without the half of OpenStack that comes with it.
cp -rL /usr/share/novnc "$(path /usr/share/novnc)"
follow instance
page() { nsenter -t "$INIT" -n -- curl --silent --show-error --fail "$@"; }
contains "$(page http://localhost:6080/vnc.html)" noVNC || fail 'no page of noVNC'
served 6080
# An editor that writes what it is there for, where systemctl wants it.
cat >"$(path /usr/local/bin/editor)" <<'END'
#!/bin/sh
# Its last argument: systemd 257 says before it which line to go to.
for file; do :; done
sed -i '2a[Service]\nMemoryMax=100M' "$file"
END
chmod 755 "$(path /usr/local/bin/editor)"
follow service SYSTEMD_EDITOR=/usr/local/bin/editor
[ "$(property websockify@6080.service MemoryMax)" = 104857600 ] || fail 'systemctl edit changed nothing'
rm -r "$(path /etc/systemd/system/websockify@6080.service.d)"

# The authority looks at port 80 of the name, as Let's Encrypt does.
succeeds apt install certbot
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$scratch/acme.key" -out "$scratch/acme.pem" 2>/dev/null
cat >"$scratch/pebble.json" <<END
{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
  "certificate": "$scratch/acme.pem", "privateKey": "$scratch/acme.key", "httpPort": 80, "tlsPort": 443}}
END
peer dns 8053 --name desk.example.org --address 127.0.0.1 >"$scratch/dns" 2>&1 &
eventually grep -q listening "$scratch/dns"
PEBBLE_VA_NOSLEEP=1 nsenter -t "$INIT" -n -- \
    pebble -config "$scratch/pebble.json" -dnsserver 127.0.0.1:8053 >"$scratch/pebble" 2>&1 &
authority() { page --cacert "$scratch/acme.pem" "https://localhost:$1"; }
eventually authority 14000/dir
authority 15000/roots/0 >"$scratch/root.pem"
# Who runs certbot for the first time is asked for this.
cat >"$(path /etc/letsencrypt/cli.ini)" <<'END'
server = https://localhost:14000/dir
no-verify-ssl = true
non-interactive = true
agree-tos = true
register-unsafely-without-email = true
END
follow certbot
secure() { page --cacert "$scratch/root.pem" --connect-to desk.example.org:443:localhost:443 "https://desk.example.org$1"; }
contains "$(secure /vnc.html)" noVNC || fail 'no page by https'
session before 443 --tls "$scratch/root.pem" --name desk.example.org
tell before 'by the first certificate'
serial() {
    nsenter -t "$INIT" -n -- openssl s_client -connect localhost:443 -servername desk.example.org </dev/null 2>/dev/null |
        openssl x509 -noout -serial
}
first=$(serial)
[ -n "$first" ] || fail 'no certificate'
# The hook has been kept.
succeeds inside certbot renew --force-renewal --no-random-sleep-on-renew
renewed() { [ "$(serial)" != "$first" ]; }
eventually renewed
says websockify@443.service reloaded
tell before 'and on'
