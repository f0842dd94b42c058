# Directories of certificates, as certbot keeps them: root's alone, all links. Each client gets the
# certificate of the name it asks for; a renewal brings new names and takes old ones; and of two
# instances, each with a user of its own, neither has the other's.
target 5900
# lineage FOLDER NAME: as certbot makes or renews one.
lineage() {
    local live archive number
    live=$(path "/etc/$1/live/$2") archive=$(path "/etc/$1/archive/$2")
    mkdir -p "$live" "$archive"
    chmod 700 "$(path "/etc/$1/live")" "$(path "/etc/$1/archive")"
    number=$(($(find "$archive" -name 'privkey*' | wc -l) + 1))
    certificate "$2" "$2"
    mv "$(path "/etc/ssl/test/$2.pem")" "$archive/fullchain$number.pem"
    mv "$(path "/etc/ssl/test/$2.key")" "$archive/privkey$number.pem"
    ln -sf "../../archive/$2/fullchain$number.pem" "$live/fullchain.pem"
    ln -sf "../../archive/$2/privkey$number.pem" "$live/privkey.pem"
    cp "$archive/fullchain$number.pem" "$scratch/$2.pem"
}
offered() { served "$1" --tls "$scratch/$2.pem" --name "$2"; }
lineage first one.test
lineage first two.test
lineage second three.test
echo 'for people' >"$(path /etc/first/live/README)"
configure 5971 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/first/live'
configure 5972 'WEBSOCKIFY_TARGET=localhost:5900' 'WEBSOCKIFY_CERT=/etc/second/live'
succeeds inside systemctl enable --now websockify@5971.socket websockify@5972.socket
offered 5971 one.test
offered 5971 two.test
offered 5972 three.test
fails 1 peer echo 5972 --tls "$scratch/one.test.pem" --name one.test
copies() { (cd "$(path "/run/websockify/$1")" && ls -A | grep + | tr '\n' ' '); }
[ "$(copies 5972)" = 'etc+second+live+three.test+fullchain.pem etc+second+live+three.test+privkey.pem ' ] ||
    fail "the second has $(copies 5972)"
users=$(for name in 5971 5972; do stat -c %u:%a "$(path "/run/websockify/$name")"; done)
[ "$(sort -u <<<"$users" | wc -l)" = 2 ] || fail "one user for two: $users"
[ "$(grep -c ':700$' <<<"$users")" = 2 ] || fail "somebody else may look: $users"
[ "$(stat -c %u:%a "$(path /run/websockify/5971/etc+first+live+one.test+privkey.pem)")" = \
    "$(head -n 1 <<<"$users" | cut -d : -f 1):400" ] || fail 'a key is somebody else'\''s'
eventually status_is websockify@5971.service '*, sandbox full'
# Renewed, one more, one less; sessions go on.
session before 5971 --tls "$scratch/two.test.pem" --name two.test
process=$(main_pid websockify@5971.service)
cp "$scratch/two.test.pem" "$scratch/old.pem"
lineage first two.test
lineage first four.test
rm -r "$(path /etc/first/live/one.test)"
succeeds inside systemctl reload 'websockify@*.service'
offered 5971 two.test
offered 5971 four.test
fails 1 peer echo 5971 --tls "$scratch/old.pem" --name two.test
fails 1 peer echo 5971 --tls "$scratch/one.test.pem" --name one.test
! contains "$(copies 5971)" one.test || fail "it keeps $(copies 5971)"
tell before 'and on'
[ "$(main_pid websockify@5971.service)" = "$process" ] || fail 'it was restarted'
# One that cannot be used is refused before anything changes, and the directory may be mended.
echo garbage >"$(path /etc/first/archive/two.test/privkey2.pem)"
fails 1 inside systemctl reload websockify@5971.service
says websockify@5971.service 'two.test/privkey.pem: no private key in PEM form in it'
offered 5971 two.test
lineage first two.test
succeeds inside systemctl restart websockify@5971.service
offered 5971 two.test
rm "$(path /etc/first/live)" -r
fails 1 inside systemctl restart websockify@5971.socket
says websockify@5971.socket '--cert /etc/first/live: No such file'
# On a disk that is mounted later than the generator runs: it is found by the start.
succeeds inside systemctl daemon-reload
lineage first two.test
succeeds inside systemctl restart websockify@5971.socket
offered 5971 two.test
