//! This program once more, as a small process beside the bridge: it starts other programs, which the
//! bridge cannot do in its sandbox.
//!
//! It is started before there are threads or a sandbox, as `/proc/self/exe` with a word that is not
//! for people; that costs no `unsafe` where a fork would. Its standard input is a socket of the
//! bridge. When that ends, however the bridge did, so does all that was started.

use std::io::{self, stdin};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::environment;

/// The command that starts it. What is to be its standard streams has to be said.
pub fn command(word: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    for name in environment::ours() {
        // What it starts may read its parent's environment in /proc.
        command.env_remove(name);
    }
    command
        // For the list of processes.
        .arg0("websockify")
        .arg(word)
        // A terminal's Ctrl-C is for the bridge, which then says what is to be done.
        .process_group(0);
    command
}

/// What such a process does first. Returns the bridge's socket.
///
/// # Errors
/// The kernel's.
pub fn begin() -> io::Result<UnixStream> {
    forget_inherited();
    // It was started as /proc/self/exe.
    let _ = rustix::thread::set_name(c"websockify");
    let channel = UnixStream::from(stdin().as_fd().try_clone_to_owned()?);
    channel.set_nonblocking(true)?;
    Ok(channel)
}

/// Closes every descriptor beyond the three: whatever the bridge was started with and does not know
/// of is not the program's either. Nothing of ours is open yet.
fn forget_inherited() {
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<i32> = listed
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // One of them was the list's own, and is closed already.
        let _ = nix::unistd::close(fd);
    }
}

/// Catches every signal that can be caught, and returns that of a child's end. execve(2) makes a
/// caught signal's disposition the default, and leaves an ignored one ignored: so a program gets
/// none that our starter ignored. It also keeps us alive until the bridge has ended, whoever tells
/// all processes to.
///
/// # Errors
/// The kernel's.
pub fn default_signals() -> io::Result<Signal> {
    for number in 1..=64 {
        // Some are forbidden, some do not exist.
        let _ = signal(SignalKind::from_raw(number));
    }
    signal(SignalKind::child())
}
