//! The limit on open files (RLIMIT_NOFILE, getrlimit(2)), for us alone: what starts programs for us
//! was started before.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, and returns it. The soft one is for programs that use
/// select(2).
pub fn raise() -> u64 {
    let found = getrlimit(Resource::Nofile);
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
