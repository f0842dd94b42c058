//! What a bridge holds and has used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use crate::bridge::Bridge;
use crate::compat::flow::memory;
use crate::scale::processor_time;

/// See proc(5).
#[derive(Debug)]
pub(super) struct Cost {
    /// Bytes that it has written to.
    pub(super) memory: usize,
    /// Open files and sockets; not pipes, of which each thread has one once it had much to move.
    pub(super) descriptors: usize,
    /// The time that its threads have had.
    pub(super) processor: Duration,
}

impl Cost {
    pub(super) fn of(bridge: &Bridge) -> Self {
        let pid = bridge.pid().as_raw_pid();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let descriptors = descriptors.filter(|it| {
            // It may be closed meanwhile.
            let open = it
                .as_ref()
                .ok()
                .and_then(|it| fs::read_link(it.path()).ok());
            open.is_some_and(|it| !it.to_string_lossy().starts_with("pipe:"))
        });
        Self {
            memory: memory(pid),
            descriptors: descriptors.count(),
            processor: processor_time(pid),
        }
    }
}
