//! The marks of --traffic.

use std::io::{self, Write};
use std::sync::OnceLock;

use super::is_the_clients;
use super::queue::{Queue, Said};
use crate::limits;

const LEGEND: &str = "
Traffic Legend:
    }  - Client receive
    }. - Client receive partial
    {  - Target receive

    >  - Target send
    >. - Target send partial
    <  - Client send
    <. - Client send partial
";

/// Says what the marks mean, once for each session, as websockify does.
pub fn traffic_legend() {
    traffic(LEGEND);
}

/// Writes a mark to standard output at once: the option is for watching a session breathe. Nobody
/// watching is no reason to end a session, nor one who looks away to hold it up: what there is no room for is left out, without a word among the marks.
pub fn traffic(mark: &'static str) {
    if let Some(marks) = MARKS.get_or_init(begin) {
        marks.push(mark);
    }
}

/// Waits a little for the last ones.
pub(super) fn flush() {
    if let Some(Some(marks)) = MARKS.get() {
        marks.flush();
    }
}

static MARKS: OnceLock<Option<Queue<&'static str>>> = OnceLock::new();

fn begin() -> Option<Queue<&'static str>> {
    // From inetd it may be the client's own stream.
    if is_the_clients(io::stdout()) {
        return None;
    }
    let marks = Queue::new(limits::LOG_QUEUE);
    let write = |said: Said<&str>| {
        let Said::Record(mark) = said else {
            return;
        };
        let mut output = io::stdout().lock();
        let _ = output
            .write_all(mark.as_bytes())
            .and_then(|()| output.flush());
    };
    marks.deliver("traffic", write).is_ok().then_some(marks)
}
