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
    /// Open files and sockets.
    pub(super) descriptors: usize,
    /// The time that its threads have had.
    pub(super) processor: Duration,
}

impl Cost {
    pub(super) fn of(bridge: &Bridge) -> Self {
        let pid = bridge.pid().as_raw_pid();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        Self {
            memory: memory(pid),
            descriptors: descriptors.count(),
            processor: processor_time(pid),
        }
    }
}
