#!/usr/bin/env bash
# curl against the bridge: the upgrade, and files when it serves some.
#
#   curl.sh BASE [FOLDER NAME]
#
# BASE is http://HOST:PORT or https://…; NAME is a file in FOLDER, which the bridge serves with --web.
# REFERENCE=1: the bridge is Python websockify, which knows no ranges. CURL_CA_BUNDLE names a test's own authority.
set -euo pipefail

base=${1:?usage: curl.sh BASE [FOLDER NAME]}
folder=${2:-} name=${3:-}
here=$(mktemp -d)
upgrade=''
finish() {
  [ -z "$upgrade" ] || kill "$upgrade" 2>/dev/null || true
  rm -rf "$here"
}
trap finish EXIT

fail() {
  echo "FAIL curl: $*"
  exit 1
}
get() { curl --silent --show-error --max-time 20 --http1.1 "$@"; }
status() { get --output /dev/null --write-out '%{http_code}' "$@"; }
expect() { # WHAT SEEN WANTED…
  local what=$1 seen=$2 wanted
  shift 2
  for wanted; do [ "$seen" != "$wanted" ] || return 0; done
  fail "$what: $seen, not $*"
}

# After a 101 curl goes on reading, and keeps --include's lines back for as long: so --verbose tells them, and we end it.
answer() { # ARGUMENTS…: leaves the answer's status line and headers in $headers
  local line
  headers=''
  exec 3< <(exec curl --silent --show-error --verbose --max-time 20 --http1.1 "$@" 2>&1 >/dev/null)
  upgrade=$!
  while IFS= read -r -t 20 -u 3 line; do
    line=${line%$'\r'}
    [ "$line" != '< ' ] || break
    case $line in '< '* | 'curl: '*) headers+="${line#< }"$'\n' ;; esac
  done
  case $headers in 'HTTP/1.1 101 '*) ;; *) fail "${*: -1} was answered: $headers" ;; esac
  kill "$upgrade" || fail "the connection ended after the 101"
  exec 3<&-
  upgrade=''
}
answer -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
  -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: binary' "$base/websockify"
# The key and its answer are RFC 6455's own example.
for wanted in 'upgrade: websocket' 'connection: upgrade' 'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=' 'sec-websocket-protocol: binary'; do
  grep -qixF "$wanted" <<<"$headers" || fail "no \"$wanted\" in: $headers"
done
echo 'ok   curl: upgrade, 101 and the right Accept'

case " $(curl --version | sed -n 's/^Protocols://p') " in *' ws '*)
  answer "ws${base#http}/websockify"
  echo 'ok   curl: ws://' ;;
esac

seen=$(status -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 99' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$base/")
expect 'an unknown WebSocket version' "$seen" 400 426

if [ -z "$name" ]; then
  expect 'a GET where no files are served' "$(status "$base/")" 404 405 426
  echo 'PASS curl'
  exit 0
fi

url=$base/$name file=$folder/$name
get --output "$here/whole" --dump-header "$here/headers" "$url" || fail "GET $url"
cmp -s "$here/whole" "$file" || fail "GET $url gave other bytes than $file"
expect 'HEAD' "$(status --head "$url")" 200
expect 'a missing file' "$(status "$url.missing")" 404
expect 'a way out of the folder' "$(status --path-as-is "$base/../../../../etc/passwd")" 400 403 404
expect 'an encoded way out of the folder' "$(status --path-as-is "$base/..%2f..%2f..%2f..%2fetc/passwd")" 400 403 404
expect 'POST' "$(status --data x "$url")" 405 501
twice=$(get --output /dev/null --output /dev/null --write-out '%{num_connects} ' "$url" "$url")
expect 'connections for two files' "$twice" '1 0 '
echo 'ok   curl: whole files, HEAD, errors, one connection for two files'

modified=$(sed -n 's/^last-modified: //Ip' "$here/headers" | tr -d '\r')
[ -n "$modified" ] || fail "no Last-Modified in: $(cat "$here/headers")"
expect 'an unchanged file' "$(status -H "If-Modified-Since: $modified" "$url")" 304
expect 'a changed file' "$(status -H 'If-Modified-Since: Thu, 01 Jan 1998 00:00:00 GMT' "$url")" 200
etag=$(sed -n 's/^etag: //Ip' "$here/headers" | tr -d '\r')
[ -z "$etag" ] || expect 'an unchanged file by its ETag' "$(status -H "If-None-Match: $etag" "$url")" 304
echo 'ok   curl: conditional requests'

if [ -z "${REFERENCE:-}" ]; then
  size=$(stat -c %s "$file")
  expect 'a range' "$(get --output "$here/part" --write-out '%{http_code}' --range 2-9 "$url")" 206
  cmp -s "$here/part" <(dd if="$file" bs=1 skip=2 count=8 status=none) || fail 'the range holds other bytes'
  expect 'the last bytes' "$(get --output "$here/part" --write-out '%{http_code}' --range -4 "$url")" 206
  cmp -s "$here/part" <(tail -c 4 "$file") || fail 'the last bytes are others'
  expect 'a range behind the end' "$(status --range "$size-" "$url")" 416
  echo 'ok   curl: ranges'
fi
echo 'PASS curl'
