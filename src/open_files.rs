//! The limit on open files (RLIMIT_NOFILE, getrlimit(2)): ours is raised, our helpers' is not.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// As our starter has left it.
static FOUND: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit to the hard one, and returns it. The soft one is for programs that use
/// select(2).
pub fn raise() -> u64 {
    let found = *FOUND.get_or_init(|| getrlimit(Resource::Nofile));
    let raised = Rlimit {
        current: found.maximum,
        ..found
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised,
        Err(_) => found,
    };
    limit.current.unwrap_or(u64::MAX)
}

/// Gives a child that was just started the limit that we found: it may be such a program.
pub fn restore(child: Pid) {
    if let Some(found) = FOUND.get() {
        // A child that has ended, or become another user's, is as well off without.
        let _ = prlimit(Some(child), Resource::Nofile, *found);
    }
}
