//! The process beside the bridge that starts a helper, as often as it is asked to, and kills it.
//!
//! It has one thread and no socket of a client. A bridge that was taken over can make it start or
//! kill that one program.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;

use rustix::process::{Pid, Signal as Kill, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use super::handing;
use super::program::Program;
use crate::beside;
use crate::error::Failure;

/// The first word of a command line that makes this program a starter. It is not for people.
pub const WORD: &str = "--start-helper";

/// From the bridge, with a socket of the run's own. When the bridge ends its side of that, the run
/// is killed.
pub(super) const START: u8 = b's';
/// The first word on that socket, with the three standard streams. How the run ended follows.
pub(super) const STARTED: u8 = b'+';
/// Instead of it; why not follows.
const FAILED: u8 = b'-';

/// Does as standard input, the bridge's socket, says. Returns when nothing that it started runs.
///
/// # Errors
/// Why it could not even begin; the bridge sees that nobody answers.
pub fn run(words: &[OsString]) -> Result<(), Failure> {
    let words: Option<Vec<String>> = words
        .iter()
        .map(|it| Some(it.to_str()?.to_owned()))
        .collect();
    let program = words.filter(|words| !words.is_empty()).map(Program::of);
    let program =
        program.ok_or_else(|| Failure::usage(format!("{WORD} is for the bridge's own use")))?;
    let cannot = |error: io::Error| Failure::start(format!("cannot start helpers: {error}"));
    let channel = beside::begin().map_err(cannot)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(cannot)?.block_on(async {
        let _ends = beside::default_signals().map_err(cannot)?;
        serve(&UnixStream::from_std(channel).map_err(cannot)?, &program).await;
        Ok(())
    })
}

async fn serve(orders: &UnixStream, program: &Program) {
    let mut runs = JoinSet::new();
    loop {
        tokio::select! {
            order = handing::take(orders) => match order {
                Ok(Some((_, mut files))) => if let Some(line) = files.pop() {
                    let program = program.clone();
                    runs.spawn(async move { keep(&program, line).await });
                },
                // Each run has its own end to hear as well.
                Ok(None) | Err(_) => break,
            },
            Some(_) = runs.join_next() => {}
        }
    }
    while runs.join_next().await.is_some() {}
}

/// One run, from its start to its end.
async fn keep(program: &Program, line: OwnedFd) -> io::Result<()> {
    let line = std::os::unix::net::UnixStream::from(line);
    line.set_nonblocking(true)?;
    let mut line = UnixStream::from_std(line)?;
    // Before there is a child, so that its end is not missed.
    let mut ends = signal(SignalKind::child())?;
    let mut child = match program.spawn() {
        Ok(child) => child,
        Err(error) => {
            handing::give(&line, FAILED, &[])?;
            return line.write_all(error.to_string().as_bytes()).await;
        }
    };
    let pid = Pid::from_child(&child);
    // Nobody reads but to see the other side's end, and one that is gone has ended as well.
    if hand_over(&mut child, &line).is_ok() {
        tokio::select! {
            () = ended(pid, &mut ends) => {}
            _ = line.read_u8() => {}
        }
    }
    // What it has started as well. It is not reaped, so this is still its group.
    let _ = kill_process_group(pid, Kill::KILL);
    // It may have left the group.
    let _ = child.kill();
    ended(pid, &mut ends).await;
    let status = child.wait()?;
    line.write_all(status.to_string().as_bytes()).await
}

fn hand_over(child: &mut Child, line: &UnixStream) -> io::Result<()> {
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
        return Err(io::ErrorKind::NotFound.into());
    };
    handing::give(
        line,
        STARTED,
        &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
    )
}

/// Returns when the process has ended. It is not reaped: until then its number is its own, and
/// so is its group's.
async fn ended(pid: Pid, ends: &mut Signal) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while let Ok(None) = waitid(WaitId::Pid(pid), look) {
        ends.recv().await;
    }
}
