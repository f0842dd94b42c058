//! A service manager that hears nothing for a while, for it reads its units anew.

use std::os::unix::net::UnixDatagram;

use crate::backend;
use crate::bridge::Bridge;
use crate::process::DEADLINE;

#[test]
fn a_pulse_that_was_not_heard_is_said_again_soon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    // It has more to hear than it has room for.
    let others = UnixDatagram::unbound().unwrap();
    others.set_nonblocking(true).unwrap();
    while others.send_to(b"STATUS=", &path).is_ok() {}
    let notify = format!("NOTIFY_SOCKET={}", path.display());
    // The next one is due after a minute.
    let patience = "WATCHDOG_USEC=180000000";
    let target = backend::echo().to_string();
    let bridge = Bridge::spawn_under(
        &["env", &notify, patience],
        &["--verbose", "127.0.0.1:{port}", &target],
    );
    bridge.wait_for_line(|line| line.starts_with("cannot notify the service manager: "));
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let size = manager.recv(&mut buffer).expect("WATCHDOG=1");
        if buffer[..size] == *b"WATCHDOG=1" {
            break;
        }
    }
}
