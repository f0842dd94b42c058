# The example for logwatch(8), where its comments say: a day's sessions in a report.
# shellcheck source=tests/package/steps
. "$here/../package/steps"
succeeds apt install "$ours" logwatch
for kind in conf/services/websockify.conf scripts/services/websockify; do
    succeeds inside install -D -m 644 "/usr/share/doc/websockify/examples/logwatch/${kind##*/}" "/etc/logwatch/$kind"
done
target 5900
configure 5901 'WEBSOCKIFY_TARGET=localhost:5900'
configure 5902 'WEBSOCKIFY_TARGET=localhost:5999'
configure 5903 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_AUTH_PLUGIN=BasicHTTPAuth' 'WEBSOCKIFY_AUTH_SOURCE=jane:secret'
succeeds inside systemctl enable --now websockify@5901.socket websockify@5902.socket websockify@5903.socket
served 5901
served 5901
fails 1 peer echo 5902
fails 1 peer echo 5903 --user jane:wrong
says websockify@5901.service 'session client='
says websockify@5903.service 'auth failed'
report=$(inside logwatch --service websockify --range all --output stdout)
echo "$report"
for line in ' 2 .* localhost:5900' ' 1 .* 127\.0\.0\.1 by BasicHTTPAuth' ' 1 .*cannot connect to localhost:5999'; do
    grep -q "^ *$line" <<<"$report" || fail "no line like $line"
done
