//! The marks of --traffic.

use std::io::{self, Write};

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

/// Writes a mark to standard output at once: the option is for watching a session breathe.
pub fn traffic(mark: &str) {
    let mut output = io::stdout().lock();
    // Nobody watching is no reason to end a session.
    let _ = output
        .write_all(mark.as_bytes())
        .and_then(|()| output.flush());
}
