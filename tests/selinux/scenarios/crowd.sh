# More sessions at rest in one instance than a process may have open files for where tests are run:
# docs/SCALING.md has the figures, and what happens beyond.
#
#   PROFILE=release MEMORY=7168 PATIENCE=3000 SHOW=yes tests/selinux/run 13 crowd
count=${SESSIONS:-50000}
configure 6080 'WEBSOCKIFY_TARGET=127.0.0.1:5900' "WEBSOCKIFY_MAX_CONNECTIONS=$((count + 1000))" \
    'WEBSOCKIFY_BIND_SOURCE=127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6' 'WEBSOCKIFY_IDLE_TIMEOUT=0'
succeeds inside systemctl enable --now websockify@6080.socket
succeeds inside systemctl start websockify@6080.service
ulimit -n 524288
# Beyond half of the ports between two addresses the kernel looks long for the next, so there are several.
doors=127.0.0.1:6080,127.0.0.2:6080,127.0.0.3:6080,127.0.0.4:6080,127.0.0.5:6080
# Both ends of everything are here: 200,000 sockets, and each may hold a page.
sysctl -q -w net.ipv4.tcp_mem='400000 600000 800000'
cat "$(path /proc)/$(main_pid websockify@6080.service)/limits" | grep 'open files'
"${BRIDGE%/*}/examples/crowd" "$(main_pid websockify@6080.service)" "$doors" 127.0.0.1:5900 idle "$count"
status_line websockify@6080.service
grep -E 'MemTotal|MemFree|^Slab' /proc/meminfo
