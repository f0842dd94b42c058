//! A program behind the bridge, and what is preloaded into it.

use std::env;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tempfile::TempDir;

use crate::bridge::Bridge;
use crate::process::DEADLINE;
use crate::real::{script, succeeds};

mod input; // what cannot be wrapped, and what is wrapped in vain
mod interposer; // rebind.so: hit and bypass
mod modes; // what the program's end means
mod programs; // servers that people have, unmodified
mod supervision; // what the program is given, and that nothing of it is left

/// `rebind.so` as it is built beside the bridge. `cargo test --test it` does not build it.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_websockify"))
            .parent()
            .unwrap();
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--locked", "--quiet", "--package", "rebind"])
            .arg("--target-dir")
            .arg(folder.parent().unwrap());
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        succeeds(&mut build);
        folder.join("librebind.so")
    })
}

/// A program of tests/programs, compiled.
pub(crate) fn compiled(name: &str, options: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = script("programs").join(name).with_extension("c");
    let words = options.concat().replace('-', "_");
    let program = folder.join(format!("{name}{words}"));
    // Two tests may want it at once: each makes its own, and the last one's stays.
    let mine = tempfile::tempdir_in(folder).unwrap();
    let mine = mine.path().join(name);
    succeeds(
        Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
            .args([&mine, &source])
            .args(options),
    );
    fs::rename(mine, &program).unwrap();
    program
}

/// Makes a program at `to`, a copy of `from`. Another process does: what this one writes is open for
/// writing in every child that a test forks meanwhile, and such a file cannot be executed.
pub(crate) fn install(mode: &str, from: &Path, to: &Path) {
    succeeds(Command::new("install").args(["-m", mode]).args([from, to]));
}

/// Makes a shell script at `to`.
pub(crate) fn install_script(text: &str, to: &Path) {
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), text).unwrap();
    install("755", source.path(), to);
}

/// A program that can be told from all others: the name of a folder of the test's is a word of it.
pub(crate) struct Server {
    words: Vec<String>,
    mark: TempDir,
}

impl Server {
    /// tests/programs/server.c with these words behind its port.
    pub(crate) fn new(words: &[&str]) -> Self {
        let mark = tempfile::tempdir().unwrap();
        let program = compiled("server", &[]);
        let mut all = vec![program.to_str().unwrap().to_owned(), "{port}".into()];
        all.extend(words.iter().map(ToString::to_string));
        all.push(mark.path().to_str().unwrap().into());
        Self { words: all, mark }
    }

    /// A bridge that wraps it, when it is ready.
    pub(crate) fn start(&self, options: &[&str]) -> Bridge {
        Bridge::start(&self.line(options))
    }

    /// The command line of such a bridge.
    pub(crate) fn line<'s>(&'s self, options: &[&'s str]) -> Vec<&'s str> {
        library();
        let mut line = vec!["127.0.0.1:{port}"];
        line.extend(options);
        line.push("--");
        line.extend(self.words.iter().map(String::as_str));
        line
    }

    /// Its processes, and those that have it on their command line: bridge and supervisor.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let mark = self.mark.path().to_str().unwrap().as_bytes();
        let has_it = |pid: &Pid| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word == mark)
        };
        let listed = fs::read_dir("/proc").unwrap();
        listed
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter_map(Pid::from_raw)
            .filter(has_it)
            .collect()
    }

    /// The program and its arguments, with `{port}` for the port.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Those of them that run the program itself.
    pub(crate) fn programs(&self) -> Vec<Pid> {
        let runs_it = |pid: &Pid| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).next() == Some(self.words[0].as_bytes())
        };
        self.processes().into_iter().filter(runs_it).collect()
    }

    /// The process between the bridge and the program.
    pub(crate) fn supervisor(&self, bridge: &Bridge) -> Pid {
        let programs = self.programs();
        let others = self.processes().into_iter();
        let mut others = others.filter(|pid| *pid != bridge.pid() && !programs.contains(pid));
        others.next().unwrap()
    }

    /// Ends the program where the bridge does not.
    pub(crate) fn kill(&self) {
        for pid in self.programs() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Returns when none of its processes is left.
    pub(crate) fn wait_until_gone(&self) {
        loop {
            let Some(pid) = self.processes().pop() else {
                return;
            };
            // Whoever is gone meanwhile is found by the next look.
            if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
                let ended = wait_for_end(&pidfd);
                assert!(ended, "process {pid} is left behind");
            }
        }
    }
}

fn wait_for_end(pidfd: &OwnedFd) -> bool {
    let mut ends = [PollFd::new(pidfd, PollFlags::IN)];
    let limit = Timespec::try_from(DEADLINE).unwrap();
    poll(&mut ends, Some(&limit)).unwrap() > 0
}

/// A process's children, those included that have ended and that it has not taken leave of.
pub(crate) fn children(of: Pid) -> Vec<i32> {
    let listed = fs::read_dir("/proc").unwrap();
    let pids = listed.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(1) == Some(&of.to_string())
    })
    .collect()
}

/// The process that the bridge says it has started last.
pub(crate) fn started(bridge: &Bridge) -> Pid {
    bridge.wait_until("start of the program", |seen| {
        let lines = seen.stderr.rsplit_terminator('\n');
        let line = lines
            .into_iter()
            .find_map(|line| line.split_once(" started, pid="))?;
        Pid::from_raw(line.1.parse().ok()?)
    })
}
