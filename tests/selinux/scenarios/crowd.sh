# More sessions at rest in one instance than a process may have open files for where tests are run:
# docs/SCALING.md has the figures, and what happens beyond.
#
#   PROFILE=release MEMORY=6144 PATIENCE=3000 SHOW=yes tests/selinux/run 13 crowd
count=${SESSIONS:-40000}
configure 6080 'WEBSOCKIFY_TARGET=127.0.0.1:5900' "WEBSOCKIFY_MAX_CONNECTIONS=$((count + 1000))" \
    'WEBSOCKIFY_BIND_SOURCE=127.0.0.2,127.0.0.3,127.0.0.4' 'WEBSOCKIFY_IDLE_TIMEOUT=0'
succeeds inside systemctl enable --now websockify@6080.socket
succeeds inside systemctl start websockify@6080.service
ulimit -n 524288
cat "$(path /proc)/$(main_pid websockify@6080.service)/limits" | grep 'open files'
"${BRIDGE%/*}/examples/crowd" "$(main_pid websockify@6080.service)" 127.0.0.1:6080,127.0.0.2:6080,127.0.0.3:6080 \
    127.0.0.1:5900 idle "$count"
status_line websockify@6080.service
grep -E 'MemTotal|MemFree|^Slab' /proc/meminfo
