//! What the service manager wants to hear (sd_notify(3)). Without one, nothing happens.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// We serve.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// We read our files anew; [`ready`] ends it.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The line that `systemctl status` shows. False when the manager is too busy to hear it now.
pub fn status(status: &str) -> bool {
    mention(&[NotifyState::Status(status)])
}

/// How often the manager wants to hear from us, if it does; a third of that, so that one late word
/// is no end.
#[must_use]
pub fn pulse() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 3)
}

/// We are not stuck. False when the manager is too busy to hear it now.
pub fn alive() -> bool {
    mention(&[NotifyState::Watchdog])
}

/// We need so much longer to end.
pub fn extend(time: Duration, status: &str) {
    let time = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    mention(&[
        NotifyState::ExtendTimeoutUsec(time),
        NotifyState::Status(status),
    ]);
}

/// We are ending.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Waits for the manager where that is busy: these are its to hear, and few.
fn tell(state: &[NotifyState<'_>]) {
    log_fault(&sd_notify::notify(state));
}

/// Says what is said again later, and waits for nobody: a manager that reads its units anew hears
/// nothing for seconds, and clients are accepted by who calls this.
fn mention(state: &[NotifyState<'_>]) -> bool {
    let Some(manager) = env::var_os("NOTIFY_SOCKET") else {
        return true;
    };
    let said = send(&manager, state);
    log_fault(&said);
    // Where nobody listens at all, nothing is gained by saying it again.
    !said.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn send(manager: &OsStr, state: &[NotifyState<'_>]) -> io::Result<()> {
    let text: Vec<String> = state.iter().map(NotifyState::to_string).collect();
    let text = text.join("\n");
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match manager.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.send_to_addr(text.as_bytes(), &SocketAddr::from_abstract_name(name)?),
        None => socket.send_to(text.as_bytes(), manager),
    }?;
    Ok(())
}

fn log_fault(said: &io::Result<()>) {
    if let Err(error) = said {
        log::debug!("cannot notify the service manager: {error}");
    }
}
