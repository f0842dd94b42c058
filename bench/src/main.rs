//! What a session costs, here and at the peers: other bridges, and plain relays as the floor.
//!
//! Each round does every line's work with every peer in turn, each time in a fresh process behind a
//! warm-up. This process is the client and the target at once and compares every byte; what is
//! counted is the processor time and the memory of the peer's processes alone.
#![allow(
    clippy::disallowed_methods,
    reason = "client, target and service manager of every peer"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts of work, far from the ends of their types"
)]

mod client; // WebSocket, TLS or neither
mod lines; // what is measured, and the goals
mod machine; // where, and who else was at work
mod pattern; // bytes that show a loss
mod peers; // who is measured
mod pictures; // which figures are drawn
mod place; // programs and keys
mod process; // what processes cost
mod report; // docs/PERFORMANCE.md
mod stats; // medians
mod svg; // bars and curves
mod table; // Markdown
mod target; // behind every peer
mod work; // each line's work

use std::io::{self, IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::peers::Kind;
use crate::place::Place;
use crate::report::Report;
use crate::stats::Results;
use crate::work::Effort;

#[derive(Debug, Parser)]
#[command(about = "Measures what a session costs, beside other bridges and plain relays")]
struct Options {
    /// The program to measure
    #[arg(long, default_value = "target/release/websockify")]
    bridge: PathBuf,
    /// How often everything is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each piece of work takes
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Hold at most so many idle sessions
    #[arg(long, default_value_t = 4000)]
    sessions: usize,
    /// Only lines with this word in their names
    #[arg(long, default_value = "", conflicts_with = "docs")]
    only: String,
    /// Write PERFORMANCE.md and its pictures in this folder anew; every peer has to be there
    #[arg(long)]
    docs: Option<PathBuf>,
    /// Write every value to this file
    #[arg(long)]
    values: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("bench: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Whether every peer did its work without a wrong byte.
fn run(options: &Options) -> io::Result<bool> {
    // Whom a peer leaves behind is ended and counted with it.
    nix::sys::prctl::set_child_subreaper(true)?;
    let place = Place::new(options.bridge.clone())?;
    let descriptors = machine::take_descriptors()?;
    let mut report = Report::default();
    for kind in Kind::ALL {
        match machine::version(kind, &place) {
            Ok(version) => report.peers.push((kind, version)),
            Err(error) => {
                let error = format!("{} is not here: {error}", kind.name());
                if kind == Kind::Here || options.docs.is_some() {
                    return Err(io::Error::other(error));
                }
                say(&format!("{error}\n"));
            }
        }
    }
    let effort = Effort {
        time: Duration::from_secs_f64(options.seconds),
        // Each is two descriptors of ours.
        sessions: options.sessions.min(
            usize::try_from(descriptors / 2)
                .unwrap_or(usize::MAX)
                .saturating_sub(100),
        ),
        starts: ((options.seconds * 7.0) as usize).max(1),
    };

    let mut lines = lines::all();
    for line in &mut lines {
        let wanted = |name: &str| name.contains(&options.only);
        if !line.figures.iter().any(|figure| wanted(figure.name)) {
            line.figures.clear();
        }
    }
    let mut results = Results::default();
    let mut right = true;
    let neighbours = machine::Neighbours::watch()?;
    for round in 0..options.rounds {
        for (at, line) in lines.iter().enumerate() {
            for turn in 0..report.peers.len() {
                // Nobody is always the one behind the same other.
                let kind = report.peers[(turn + round) % report.peers.len()].0;
                if line.figures.is_empty() || !line.is_for(kind) {
                    continue;
                }
                let turn = format!("round {} of {}", round + 1, options.rounds);
                progress(&format!(
                    "{turn}: {}, {}",
                    line.figures[0].name,
                    kind.name()
                ));
                match work::measure(line, kind, &place, &effort) {
                    Ok(values) => results.add(at, kind, &values),
                    Err(error) => {
                        right = false;
                        let line = line.figures[0].name;
                        progress("");
                        say(&format!("{line}, {}: {error}\n", kind.name()));
                    }
                }
            }
        }
    }
    progress("");
    report.heading = format!(
        "{}, on {}: {}. Rounds: {}, each piece of work {} s; {}.",
        machine::today(),
        machine::machine(),
        report.versions(),
        options.rounds,
        options.seconds,
        neighbours.tell()?
    );
    report.show(&lines, &results)?;
    if let Some(path) = &options.values {
        std::fs::write(path, results.to_tsv(&lines))?;
    }
    match &options.docs {
        Some(_) if !right => say("bench: a peer failed, so the page is left as it was\n"),
        Some(folder) => report.write(folder, &lines, &results)?,
        None => {}
    }
    Ok(right)
}

/// Shows what is being done in the place of what was done before, to who watches.
fn progress(text: &str) {
    if stderr().is_terminal() {
        say(&format!("\r\x1b[K{text}"));
    }
}

fn say(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}
