# A helper that lets clients in runs in a domain of its own, not in the bridge's.
target 5900
mkdir -p /usr/local/libexec/websockify/helpers
cat >/usr/local/libexec/websockify/helpers/door <<'PROGRAM'
#!/usr/bin/python3
import json, sys
print(open("/proc/self/attr/current").read(), file=sys.stderr, flush=True)
for line in sys.stdin:
    question = json.loads(line)
    answer = {"id": question["id"]}
    answer.update({"protocol": 1} if question["stage"] == "start" else {"allow": True, "identity": "jane"})
    print(json.dumps(answer), flush=True)
PROGRAM
chmod 755 /usr/local/libexec/websockify/helpers/door
restorecon -RF /usr/local/libexec
configure 6071 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_AUTH_PLUGIN=Exec' \
    'WEBSOCKIFY_AUTH_SOURCE=/usr/local/libexec/websockify/helpers/door'
succeeds inside systemctl enable --now websockify@6071.socket
served 6071
says websockify@6071.service 'system_u:system_r:websockifyd_helper_t'
says websockify@6071.service 'identity="jane"'
# A program that nobody has given the label is not executed.
configure 6072 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_AUTH_PLUGIN=Exec' \
    'WEBSOCKIFY_AUTH_SOURCE=/usr/local/bin/door'
cp /usr/local/libexec/websockify/helpers/door /usr/local/bin/door
restorecon -F /usr/local/bin/door
echo '/bin/door"' >>/tmp/expected
override websockify@6072.service '[Service]' 'Restart=no'
fails 1 inside systemctl start websockify@6072.service
says websockify@6072.service 'Permission denied'
rm -r /usr/local/libexec/websockify /usr/local/bin/door
