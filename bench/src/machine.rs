//! What a figure has to be read with: the machine, the versions, and who else was at work.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::Instant;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

use crate::peers::Kind;
use crate::place::Place;

/// Lets us and the peers have as many descriptors as the system permits; returns how many.
pub(crate) fn take_descriptors() -> io::Result<usize> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}

/// The version of a peer, or why it cannot be measured here.
pub(crate) fn version(kind: Kind, place: &Place) -> Result<String, String> {
    let mut command = kind.version(place);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{program}: {}", told.trim()));
    }
    let line = text.lines().next().unwrap_or_default();
    // A program's own name before its version, and what stands behind it, say nothing new.
    let version = line.trim_start_matches(|it: char| !it.is_ascii_digit());
    Ok(match kind {
        Kind::Python | Kind::Node => version.to_owned(),
        _ => version.split(' ').next().unwrap_or_default().to_owned(),
    })
}

/// A sentence about the machine.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim_matches([' ', '\t', ':', '=', '"']).to_owned())
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let model = after(&read("/proc/cpuinfo"), "model name");
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.into());
    let system = after(&read("/etc/os-release"), "PRETTY_NAME");
    format!(
        "{model}, {processors} processors, Linux {}, {}",
        read("/proc/sys/kernel/osrelease").trim(),
        system.unwrap_or_else(|| "an unknown system".into()),
    )
}

/// The day, as date(1) tells it.
pub(crate) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(
        |_| "an unknown day".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// Who is at work on the machine, from now on.
#[derive(Debug)]
pub(crate) struct Neighbours {
    load: String,
    busy: f64,
    ours: f64,
    begun: Instant,
}

impl Neighbours {
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            load: fs::read_to_string("/proc/loadavg")?
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            busy: busy()?,
            ours: ours()?,
            begun: Instant::now(),
        })
    }

    /// A sentence: the load before we began, and what others took while we were at work.
    pub(crate) fn tell(&self) -> io::Result<String> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let room = self.begun.elapsed().as_secs_f64() * processors as f64;
        let others = (busy()? - self.busy - (ours()? - self.ours)).max(0.0) / room;
        Ok(format!(
            "the load average was {} before it, and others had {:.0} % of the processors during it",
            self.load,
            others * 100.0
        ))
    }
}

/// Seconds for which the machine's processors were not idle (proc_stat(5)), or were kept from us by
/// a hypervisor.
fn busy() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let tick = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64;
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    // user nice system IDLE IOWAIT irq softirq steal; the rest is in these already.
    let ticks: f64 = fields
        .skip(1)
        .take(8)
        .enumerate()
        .filter(|(field, _)| ![3, 4].contains(field))
        .filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
        .sum();
    Ok(ticks / tick)
}

/// Seconds of this process and of the peers that have ended.
fn ours() -> io::Result<f64> {
    let mut sum = 0.0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        let time = usage.user_time() + usage.system_time();
        sum += time.num_microseconds() as f64 / 1e6;
    }
    Ok(sum)
}
