//! Everything that descends from this process, found by way of /proc, and signals for it. Who has
//! lost a parent is the subreaper's child (PR_SET_CHILD_SUBREAPER), so nobody gets lost.

use std::collections::HashMap;
use std::fs;

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process_group, pidfd_open, pidfd_send_signal,
};

/// Sends `signals`, in turn, to each descendant; to the process group of `main` where /proc cannot
/// be read or is not of our namespace.
pub(super) fn signal_all(main: Option<Pid>, signals: &[Signal]) {
    let Some(parents) = parents() else {
        for signal in signals {
            // A group that has ended is what is wanted.
            let _ = main.map(|main| kill_process_group(main, *signal));
        }
        return;
    };
    let this = getpid().as_raw_pid();
    for (pid, parent) in &parents {
        if !descends(*pid, this, &parents) {
            continue;
        }
        let Some(process) = Pid::from_raw(*pid) else {
            continue;
        };
        let Ok(held) = pidfd_open(process, PidfdFlags::empty()) else {
            continue;
        };
        // The number may have become another's since; from here on it cannot. A parent that has
        // just ended leaves its place to us.
        if parent_of(*pid).is_some_and(|now| now == *parent || now == this) {
            for signal in signals {
                let _ = pidfd_send_signal(&held, *signal);
            }
        }
    }
}

fn descends(pid: i32, from: i32, parents: &HashMap<i32, i32>) -> bool {
    let mut at = pid;
    // Numbers that were used again while we read may make a ring.
    for _ in 0..parents.len() {
        match parents.get(&at) {
            Some(parent) if *parent == from => return true,
            Some(parent) => at = *parent,
            None => return false,
        }
    }
    false
}

fn parents() -> Option<HashMap<i32, i32>> {
    // Where it was not mounted anew, its numbers are an outer namespace's (pid_namespaces(7)).
    let this = fs::read_link("/proc/self").ok()?;
    if this.to_str()?.parse() != Ok(getpid().as_raw_pid()) {
        return None;
    }
    let parents = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, parent_of(pid)?))
        })
        .collect();
    Some(parents)
}

/// The fourth field of proc_pid_stat(5); the second is a name that may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplitn(2, |byte| *byte == b')').next()?;
    let text = std::str::from_utf8(after).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{descends, parent_of};

    #[test]
    fn a_ring_is_nobodys_descendant() {
        let parents = HashMap::from([(5, 4), (4, 3), (3, 2), (8, 9), (9, 8), (7, 1)]);
        assert!(descends(5, 2, &parents) && descends(3, 2, &parents));
        assert!(!descends(8, 2, &parents) && !descends(7, 2, &parents));
        assert!(!descends(2, 2, &parents) && !descends(6, 2, &parents));
    }

    #[test]
    fn this_process_has_a_parent() {
        let this = rustix::process::getpid().as_raw_pid();
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_pid());
        assert_eq!(parent_of(this), parent);
    }
}
