//! The marks of --traffic.

use std::io::{self, Write};

/// Writes a mark to standard output at once: the option is for watching a session breathe.
pub fn traffic(mark: &str) {
    let mut output = io::stdout().lock();
    // Nobody watching is no reason to end a session.
    let _ = output
        .write_all(mark.as_bytes())
        .and_then(|()| output.flush());
}
