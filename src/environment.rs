//! The variables that are nobody else's: a program that we start does not get them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Those of ours and the service manager's that are set.
pub fn ours() -> impl Iterator<Item = OsString> {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| is_ours(name))
}

/// Whether a variable is our own option, which may hold a password, or is between the service
/// manager and us: a child that took that for its own would speak in our name.
fn is_ours(name: &OsStr) -> bool {
    let begins: [&[u8]; 4] = [b"WEBSOCKIFY_", b"_WEBSOCKIFY_", b"LISTEN_", b"WATCHDOG_"];
    let names: [&[u8]; 6] = [
        b"FDSTORE",
        b"FILE_DESCRIPTOR_STORE_MAX",
        b"JOURNAL_STREAM",
        b"MAINPID",
        b"MANAGERPID",
        b"NOTIFY_SOCKET",
    ];
    let name = name.as_bytes();
    begins.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn what_a_program_does_not_get() {
        for name in [
            "WEBSOCKIFY_AUTH_SOURCE",
            "LISTEN_FDS",
            "LISTEN_PIDFDID",
            "NOTIFY_SOCKET",
            "MAINPID",
        ] {
            assert!(is_ours(name.as_ref()), "{name}");
        }
        for name in [
            "PATH",
            "LISTENER",
            "WEBSOCKIFY",
            "INVOCATION_ID",
            "LD_PRELOAD",
        ] {
            assert!(!is_ours(name.as_ref()), "{name}");
        }
    }
}
