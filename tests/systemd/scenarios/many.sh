# More sessions than a process may have files open by default: systemd can start the next one with all
# of them.
target 5900
configure 6045 'WEBSOCKIFY_TARGET=localhost:5900'
succeeds inside systemctl enable --now websockify@6045.socket
AS=many session many 6045 --count 400
tell many 'before'
stored() { [ "$(property websockify@6045.service NFileDescriptorStore)" = "$1" ]; }
eventually stored 1200
succeeds inside systemctl restart websockify@6045.service
says websockify@6045.service '400 of 400 sessions of the process before go on'
tell many 'after a restart'
eventually at_rest websockify@6045.service
before=$(property websockify@6045.service NRestarts)
inside systemctl kill --signal=KILL websockify@6045.service
again() { [ "$(property websockify@6045.service NRestarts)" -gt "$before" ]; }
eventually again
tell many 'after a kill'
