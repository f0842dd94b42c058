//! What the program tells its administrator: the sinks, the one record that a session leaves, and
//! the escaping of whatever came from the network.

pub mod escape;
mod event;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod journal;
mod options;
mod queue;
mod session;
mod stderr;
mod syslog;
mod throttle;
mod traffic;

use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fs::FileType;

use crate::error::Failure;
use escape::Escaped;
use file::LogFile;
use stderr::Stderr;
use syslog::Syslog;

pub use event::Event;
pub use options::Options;
pub use session::{ClosedBy, Identity, Summary};
pub use throttle::Throttle;
pub use traffic::{traffic, traffic_legend};

/// Sends everything that this crate logs to the journal or to stderr, and to where else the options
/// say. Where the journal reads stderr but cannot be sent to, each line carries its priority
/// (sd-daemon(3)).
///
/// # Errors
/// A --log-file that cannot be written.
pub fn start(options: Options) -> Result<(), Failure> {
    let level = if options.verbose {
        LevelFilter::Debug
    } else {
        LevelFilter::Info
    };
    let mut sinks = Vec::new();
    if let Some(path) = &options.file {
        sinks.push(Sink::File(LogFile::open(path)?));
    }
    if let Some(options) = options.syslog {
        sinks.push(Sink::Syslog(Syslog::new(options)));
    }
    // The last, so that who sees a line here finds it in the file.
    let journal = journal::is_connected();
    let told_twice = options.unasked && journal;
    if !(told_twice || is_the_clients(io::stderr())) {
        sinks.push(Sink::Stderr(Stderr::new(journal)));
    }
    // A second logger is refused; that happens only where a test starts us twice.
    if SINKS.set(sinks).is_ok() && log::set_logger(&Logger).is_ok() {
        log::set_max_level(level);
    }
    if options.nowhere {
        log::warn!(
            "--daemon without --log-file or --syslog, and no /dev/log here: \
             from now on nothing is logged"
        );
    }
    // A session that panics ends alone. Its message is one record; std's would be several lines.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or("?".into(), ToString::to_string);
        log::error!(
            "internal error, please report it: {place}: {}",
            Escaped(words(panic.payload()))
        );
    }));
    Ok(())
}

/// From now on records go to the log server, and nobody waits for who reads the log. Call it when
/// nothing is left to be done that has to be done before there are threads.
pub fn deliver() {
    for sink in sinks() {
        match sink {
            Sink::Stderr(stderr) => stderr.deliver(),
            Sink::Syslog(syslog) => syslog.deliver(),
            Sink::File(_) => {}
        }
    }
}

/// Goes on in the file that has the name of --log-file now.
///
/// # Errors
/// One sentence; the log then goes where it went before.
pub fn reopen() -> Result<(), String> {
    sinks().iter().try_for_each(|sink| match sink {
        Sink::File(file) => file.reopen(),
        Sink::Stderr(_) | Sink::Syslog(_) => Ok(()),
    })
}

/// Leaves why nobody was served with the sinks that are still there afterwards, and waits a little
/// for who reads them; stderr is told by `main`.
pub fn end(failure: Option<&Failure>) {
    for sink in sinks() {
        match (sink, failure) {
            (Sink::Stderr(_), _) | (_, None) => {}
            (sink, Some(failure)) => sink.write(Level::Error, &failure.to_string()),
        }
    }
    log::logger().flush();
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
        stderr::try_soon(&format!("{priority}websockify: error: {failure}"));
    }
}

/// Where records go; all of them get each.
static SINKS: OnceLock<Vec<Sink>> = OnceLock::new();

fn sinks() -> &'static [Sink] {
    SINKS.get().map_or(&[], Vec::as_slice)
}

enum Sink {
    Stderr(Stderr),
    File(LogFile),
    Syslog(Syslog),
}

impl Sink {
    fn write(&self, level: Level, text: &str) {
        match self {
            Self::Stderr(stderr) => stderr.write(level, text),
            Self::File(file) => file.write(text),
            Self::Syslog(syslog) => syslog.write(level, text),
        }
    }
}

/// Tells what the log server cannot be told: trouble with it.
fn aside(level: Level, text: &str) {
    for sink in sinks() {
        if !matches!(sink, Sink::Syslog(_)) {
            sink.write(level, text);
        }
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries' own chatter is for their developers.
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            for sink in sinks() {
                match sink {
                    Sink::Stderr(stderr) => stderr.record(record, &text),
                    sink => sink.write(record.level(), &text),
                }
            }
        }
    }

    fn flush(&self) {
        for sink in sinks() {
            match sink {
                Sink::Stderr(stderr) => stderr.flush(),
                Sink::Syslog(syslog) => syslog.flush(),
                Sink::File(_) => {}
            }
        }
        traffic::flush();
    }
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
