//! The marks of --traffic.

use std::io::{self, Write};
use std::sync::LazyLock;

use super::is_the_clients;

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
    // From inetd it may be the client's own stream.
    static HIDDEN: LazyLock<bool> = LazyLock::new(|| is_the_clients(io::stdout()));
    if *HIDDEN {
        return;
    }
    let mut output = io::stdout().lock();
    // Nobody watching is no reason to end a session.
    let _ = output
        .write_all(mark.as_bytes())
        .and_then(|()| output.flush());
}
