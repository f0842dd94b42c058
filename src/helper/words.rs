//! What a helper writes on its standard error goes to our log, with its name.

use std::time::Instant;

use tokio::net::unix::pipe::Receiver;

use super::lines::{Line, Lines};
use super::program::Program;
use crate::limits;
use crate::log::escape::Escaped;

/// Follows it to its end. A flood is read, and left out of the log.
pub(super) async fn follow(stderr: Receiver, program: Program) {
    let mut lines = Lines::new(stderr, limits::LOGGED_TEXT);
    let (mut since, mut told, mut left_out) = (Instant::now(), 0_u32, 0_u64);
    while let Ok(Some(Line::Whole(line) | Line::Part(line))) = lines.next().await {
        if since.elapsed() >= limits::LOG_INTERVAL {
            report(&program, left_out);
            (since, told, left_out) = (Instant::now(), 0, 0);
        }
        if told < limits::HELPER_WORDS {
            told += 1;
            log::info!(
                "helper {program}: {}",
                Escaped(&String::from_utf8_lossy(line))
            );
        } else {
            left_out += 1;
        }
    }
    report(&program, left_out);
}

fn report(program: &Program, left_out: u64) {
    if left_out > 0 {
        log::warn!("helper {program}: {left_out} more lines were not logged");
    }
}
