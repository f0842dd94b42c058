# Tokens that are not in files of targets: in Redis, on this machine and with a password, and in the
# token itself, signed. Inside the sandbox, and while what they rest on changes.
target 5900
# Redis, in the system's network.
secret=$(openssl rand -hex 16)
cat >"$scratch/redis.conf" <<REDIS
bind 127.0.0.1
port 6379
save ""
dir $scratch
requirepass $secret
REDIS
redis() { nsenter -t "$INIT" -n -- env REDISCLI_AUTH="$secret" redis-cli -e "$@"; }
serve_redis() {
    nsenter -t "$INIT" -n -- redis-server "$scratch/redis.conf" >"$scratch/redis.log" 2>&1 &
    redis_process=$!
    eventually redis ping
}
serve_redis
succeeds redis set desk '{"host": "localhost:5900"}'
configure 6031 'WEBSOCKIFY_TOKEN_PLUGIN=TokenRedis' "WEBSOCKIFY_TOKEN_SOURCE=localhost:6379:0:$secret"
chmod 600 "$(path /etc/websockify/6031.conf)"
succeeds inside systemctl enable --now websockify@6031.socket
served 6031 --path '/?token=desk'
fails 1 peer echo 6031 --path '/?token=other'
succeeds redis set other '{"host": "localhost:5900"}'
served 6031 --path '/?token=other'
succeeds redis del desk
fails 1 peer echo 6031 --path '/?token=desk'
eventually status_is websockify@6031.service '*, sandbox full'
# Without it nobody is let in; with it again, at once.
kill "$redis_process"
wait "$redis_process" || true
fails 1 peer echo 6031 --path '/?token=other'
contains "$(cat "$scratch/fails")" 503 || fail "$(cat "$scratch/fails")"
serve_redis
succeeds redis set other '{"host": "localhost:5900"}'
served 6031 --path '/?token=other'
never_says websockify@6031.service "$secret"
kill "$redis_process"

# A JWT, checked with the public half of a key that only the group of the instances may read.
folder=$(path /etc/websockify/keys)
mkdir -p "$folder"
# key NAME: a pair; the public half takes the place of the one that is in use.
key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$scratch/$1.key" 2>/dev/null
    openssl pkey -in "$scratch/$1.key" -pubout -out "$folder/new"
    chmod 640 "$folder/new"
    inside chgrp _websockify /etc/websockify/keys/new
    mv "$folder/new" "$folder/tokens.pem"
}
# token KEY CLAIMS: signed by ES256 (RFC 7518, 3.4), with Python's library of the tests.
token() { "${PYTHON:-target/python/bin/python}" "$here/sign.py" "$scratch/$1.key" "$2"; }
key first
chmod 750 "$folder"
inside chgrp _websockify /etc/websockify/keys
configure 6032 'WEBSOCKIFY_TOKEN_PLUGIN=JWTTokenApi' 'WEBSOCKIFY_TOKEN_SOURCE=/etc/websockify/keys/tokens.pem'
succeeds inside systemctl enable --now websockify@6032.socket
now=$(date +%s)
good=$(token first "{\"host\": \"localhost\", \"port\": 5900, \"exp\": $((now + 600))}")
served 6032 --path "/?token=$good"
fails 1 peer echo 6032 --path "/?token=$(token first "{\"host\": \"localhost\", \"port\": 5900, \"exp\": $((now - 600))}")"
fails 1 peer echo 6032 --path "/?token=${good%????}AAAA"
eventually status_is websockify@6032.service '*, sandbox full'
# Another key, by rename: the old tokens are nobody's.
key second
eventually peer echo 6032 --path "/?token=$(token second '{"host": "localhost", "port": 5900}')"
fails 1 peer echo 6032 --path "/?token=$good"
never_says websockify@6032.service "${good##*.}"
rm -r "$folder"
