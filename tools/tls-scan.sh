#!/bin/sh
# What a server offers to TLS clients, found by asking it: the table in docs/TLS.md.
#
#   tools/tls-scan.sh RSA_ADDRESS EC_ADDRESS
#
# Two bridges with the same options, whose certificates have an RSA key and one on P-256.
set -eu
rsa=${1:?usage: tls-scan.sh RSA_ADDRESS EC_ADDRESS}
ec=${2:?usage: tls-scan.sh RSA_ADDRESS EC_ADDRESS}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# ask ADDRESS ARGUMENT…: what s_client says after one request, whether there was a handshake or not.
ask() {
    to=$1
    shift
    printf 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n' |
        openssl s_client -ign_eof -connect "$to" "$@" 2>&1 || true
}

# The suite that was agreed on, or nothing.
suite() { sed -n 's/^New, .*, Cipher is \([A-Z].*\)$/\1/p'; }

# With everything allowed here, what is refused is refused by the server.
anything='ALL:COMPLEMENTOFALL:@SECLEVEL=0'

versions() { # WANTED: yes or no
    for version in '1.0 -tls1' '1.1 -tls1_1' '1.2 -tls1_2' '1.3 -tls1_3'; do
        found=no
        [ -z "$(ask "$ec" "${version#* }" -cipher "$anything" | suite)" ] || found=yes
        [ "$found" != "$1" ] || printf 'TLS %s, ' "${version% *}"
    done
}

# Offers all there is, then all but what was chosen, until nothing is: the server's preference.
suites_1_2() { # ADDRESS
    without=$anything
    while chosen=$(ask "$1" -tls1_2 -cipher "$without" | suite) && [ -n "$chosen" ]; do
        printf '%s, ' "\`$chosen\`"
        without="$without:!$chosen"
    done
}

suites_1_3() {
    left='TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256 TLS_AES_128_CCM_SHA256 TLS_AES_128_CCM_8_SHA256'
    while [ -n "$left" ]; do
        # shellcheck disable=SC2086
        offered=$(printf '%s:' $left)
        chosen=$(ask "$ec" -tls1_3 -ciphersuites "${offered%:}" | suite)
        [ -n "$chosen" ] || break
        printf '%s, ' "\`$chosen\`"
        left=$(echo "$left" | tr ' ' '\n' | grep -vxF "$chosen" | tr '\n' ' ' | sed 's/ $//') || true
    done
}

groups() {
    for group in X25519 P-256 X448 P-384 P-521 ffdhe2048 ffdhe3072; do
        [ -z "$(ask "$ec" -tls1_3 -groups "$group" | suite)" ] || printf '%s, ' "$group"
    done
}

resumption() {
    for version in 1.2 1.3; do
        option=-tls$(echo "$version" | tr . _)
        ask "$ec" "$option" -sess_out "$folder/session" >"$folder/first"
        ask "$ec" "$option" -sess_in "$folder/session" >"$folder/second"
        ! grep -q '^Reused, ' "$folder/second" || printf 'TLS %s by ticket, ' "$version"
    done
}

# After a handshake with TLS 1.2: whether it may be asked for again.
renegotiation() {
    # A pipe that stays open: s_client would leave at its end, before the answer. It also leaves when
    # it is refused, and otherwise after a while.
    mkfifo "$folder/commands"
    exec 3<>"$folder/commands"
    echo R >&3
    timeout 10 openssl s_client -tls1_2 -connect "$ec" <&3 >"$folder/out" 2>&1 || true
    grep -q 'Secure Renegotiation IS supported' "$folder/out" && printf 'protected (RFC 5746), '
    grep -q 'no renegotiation' "$folder/out" && printf 'refused to clients, '
}

line() { # NAME LIST
    list=${2%, }
    echo "| $1 | ${list:-none} |"
}

seen=$(ask "$ec" -tls1_2 -alpn h2,http/1.1 -status)
seen_1_3=$(ask "$ec" -tls1_3)
field() { echo "$1" | sed -n "s/^ *$2: *//p" | head -n 1; }

echo '| What | Offered |'
echo '|---|---|'
line 'Versions' "$(versions yes)"
line 'Versions refused' "$(versions no)"
line 'Suites of TLS 1.3' "$(suites_1_3)"
line 'Suites of TLS 1.2, EC key' "$(suites_1_2 "$ec")"
line 'Suites of TLS 1.2, RSA key' "$(suites_1_2 "$rsa")"
line 'Groups' "$(groups)"
line 'ALPN' "$(field "$seen" 'ALPN protocol')"
line 'Resumption' "$(resumption)"
line 'Early data (0-RTT)' "$(field "$seen_1_3" 'Max Early Data' | sed 's/^0$//')"
line 'Renegotiation' "$(renegotiation || true)"
line 'Compression' "$(field "$seen" Compression | sed 's/^NONE$//')"
line 'Extended master secret' "$(field "$seen" 'Extended master secret')"
line 'Stapled OCSP answer' "$(echo "$seen" | sed -n 's/^OCSP response: *\(no .*\)*$//p')"
