//! A peer's processes: all of one process group, so that a peer that forks is counted whole.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Started processes. They are killed, and waited for, when this value goes.
#[derive(Debug)]
pub(crate) struct Process(Pid);

impl Process {
    /// Starts `command` in a group of its own; what it says goes to `output`.
    pub(crate) fn start(command: &mut Command, output: fs::File) -> io::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let pid = child.id().try_into().map_err(io::Error::other)?;
        Ok(Self(Pid::from_raw(pid)))
    }

    /// Whether the first of the processes has not ended yet.
    pub(crate) fn runs(&self) -> bool {
        waitpid(self.0, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
    }

    /// Seconds of processor time, of all threads, in user and system mode, of those that have ended
    /// as well.
    pub(crate) fn processor(&self) -> f64 {
        let tick = match sysconf(SysconfVar::CLK_TCK) {
            Ok(Some(hertz)) => 1.0 / hertz as f64,
            _ => 0.01,
        };
        self.members()
            .into_iter()
            .map(|(pid, stat)| {
                // proc_pid_stat(5): utime, stime, and those of children that were waited for.
                let ticks = |field: usize| stat.get(field).copied().unwrap_or(0) as f64 * tick;
                let own = clock_getcpuclockid(pid)
                    .and_then(clock_gettime)
                    .map_or(ticks(11) + ticks(12), |time| {
                        time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
                    });
                own + ticks(13) + ticks(14)
            })
            .sum()
    }

    /// KiB of memory; what processes share is divided among them (PSS, proc_pid_smaps(5)).
    pub(crate) fn memory(&self) -> io::Result<f64> {
        let mut sum = 0;
        for (pid, _) in self.members() {
            let path = format!("/proc/{pid}/smaps_rollup");
            let told = match fs::read_to_string(&path) {
                Ok(told) => told,
                // It has ended meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => continue,
                Err(error) => {
                    let error = format!("{path}: {error} (root may read it)");
                    return Err(io::Error::other(error));
                }
            };
            sum += told
                .lines()
                .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"))
                .and_then(|number| number.parse::<u32>().ok())
                .ok_or_else(|| io::Error::other(format!("{path} has no Pss:")))?;
        }
        Ok(f64::from(sum))
    }

    /// Every process of the group, with the fields of its `stat` behind its name; words are zero.
    fn members(&self) -> Vec<(Pid, Vec<i64>)> {
        let mut members = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
                continue;
            };
            // The name before the fields may have spaces and brackets of its own.
            let Some((_, fields)) = stat.rsplit_once(')') else {
                continue;
            };
            let fields: Vec<i64> = fields
                .split_whitespace()
                .map(|field| field.parse().unwrap_or(0))
                .collect();
            if fields.get(2) == Some(&self.0.as_raw().into()) {
                members.push((Pid::from_raw(pid), fields));
            }
        }
        members
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
        // Children without a parent are ours (main.rs), and their ports are free when they are gone.
        let group = Pid::from_raw(-self.0.as_raw());
        while !matches!(waitpid(group, None), Err(error) if error != Errno::EINTR) {}
    }
}
