//! What the program tells its administrator: the sink, the one record that a session leaves, and
//! the escaping of whatever came from the network.

pub mod escape;
mod event;
mod journal;
mod session;
mod throttle;
mod traffic;

use std::any::Any;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic;

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fs::FileType;

use crate::error::Failure;
use escape::Escaped;

pub use event::Event;
pub use session::{ClosedBy, Identity, Summary};
pub use throttle::Throttle;
pub use traffic::{traffic, traffic_legend};

/// Sends everything that this crate logs to the journal, or to stderr. Where the journal reads stderr
/// but cannot be sent to, each line carries its priority (sd-daemon(3)).
pub fn start(verbose: bool) {
    let level = if verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    };
    let journal = journal::is_connected();
    let sink = Box::new(Sink {
        journal,
        silent: is_the_clients(io::stderr()),
    });
    // A second logger is refused; that happens only where a test starts us twice.
    if log::set_boxed_logger(sink).is_ok() {
        log::set_max_level(level);
    }
    // A session that panics ends alone. Its message is one record; std's would be several lines.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or("?".into(), ToString::to_string);
        log::error!(
            "internal error, please report it: {place}: {}",
            Escaped(words(panic.payload()))
        );
    }));
}

/// What a panic said; it may hold what a peer sent.
fn words(payload: &dyn Any) -> &str {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "?",
    }
}

/// Says why nobody was served. To standard error also under systemd: the journal finds out whose a
/// record of its own protocol is by looking at the process, and this one is about to be gone.
pub fn failed(failure: &Failure) {
    // From inetd it may be the client's own stream: the exit status has to do.
    if !is_the_clients(io::stderr()) {
        let priority = if journal::is_connected() { "<3>" } else { "" };
        let _ = writeln!(io::stderr(), "{priority}websockify: error: {failure}");
    }
}

/// The journal where it reads standard error, else standard error.
struct Sink {
    journal: bool,
    silent: bool,
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries' own chatter is for their developers.
        !self.silent && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if self.journal && journal::send(record) {
            return;
        }
        let priority = match record.level() {
            Level::Error => "<3>",
            Level::Warn => "<4>",
            Level::Info => "<6>",
            Level::Debug | Level::Trace => "<7>",
        };
        let priority = if self.journal { priority } else { "" };
        // One write, so that lines of several threads do not mix. A closed stderr is no reason to
        // stop serving.
        let line = format!("{priority}{}\n", record.args());
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Whether `stream` is a client's connection: inetd, and systemd with `StandardInput=socket`, make
/// standard input, output and error the same socket. A line of ours would be taken for an answer.
#[must_use]
pub fn is_the_clients(stream: impl AsFd) -> bool {
    let (Ok(input), Ok(stream)) = (rustix::fs::fstat(io::stdin()), rustix::fs::fstat(stream))
    else {
        return false;
    };
    FileType::from_raw_mode(input.st_mode) == FileType::Socket
        && (input.st_dev, input.st_ino) == (stream.st_dev, stream.st_ino)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_panic_speaks_in_either_kind_of_text() {
        assert_eq!(words(&"index out of bounds"), "index out of bounds");
        assert_eq!(words(&format!("length {}", 7)), "length 7");
        assert_eq!(words(&7), "?");
    }
}
