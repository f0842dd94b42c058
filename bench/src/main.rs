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

use std::fs;
use std::io::{self, IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::lines::Line;
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
    let peers = peers(&place, options.docs.is_some())?;
    let effort = Effort {
        time: Duration::try_from_secs_f64(options.seconds).map_err(io::Error::other)?,
        // Each is two descriptors of ours.
        sessions: options.sessions.min(descriptors.saturating_sub(200) / 2),
        starts: ((options.seconds * 7.0) as usize).max(1),
    };

    let neighbours = machine::Neighbours::watch()?;
    let lines = lines::all();
    let (results, right) = measure(options, &peers, &lines, &place, &effort);
    let report = Report {
        heading: format!(
            "{}, on {}: {}. Rounds: {}, each piece of work {} s; {}.",
            machine::today(),
            machine::machine(),
            peers
                .iter()
                .map(|(kind, version)| format!("{} {version}", kind.name()))
                .collect::<Vec<_>>()
                .join(", "),
            options.rounds,
            options.seconds,
            neighbours.tell()?
        ),
        tables: table::tables(&lines, &results),
        pictures: pictures::all(&lines, &results),
    };
    report.show()?;
    if let Some(path) = &options.values {
        fs::write(path, results.to_tsv(&lines))?;
    }
    match &options.docs {
        Some(_) if !right => say("bench: a peer failed, so the page is left as it was\n"),
        Some(folder) => report.write(folder)?,
        None => {}
    }
    Ok(right)
}

/// Who can be measured here, in which version.
fn peers(place: &Place, all: bool) -> io::Result<Vec<(Kind, String)>> {
    let mut peers = Vec::new();
    for kind in Kind::ALL {
        match machine::version(kind, place) {
            Ok(version) => peers.push((kind, version)),
            Err(error) if kind == Kind::Here => return Err(io::Error::other(error)),
            Err(error) => {
                let error = format!("{} is not here: {error}", kind.name());
                if all {
                    return Err(io::Error::other(error));
                }
                say(&format!("{error}\n"));
            }
        }
    }
    Ok(peers)
}

/// Every round; `false` beside the results where a peer failed.
fn measure(
    options: &Options,
    peers: &[(Kind, String)],
    lines: &[Line],
    place: &Place,
    effort: &Effort,
) -> (Results, bool) {
    let mut results = Results::default();
    let mut right = true;
    for round in 0..options.rounds {
        for (at, line) in lines.iter().enumerate() {
            let name = line.figures[0].name;
            if !line
                .figures
                .iter()
                .any(|it| it.name.contains(&options.only))
            {
                continue;
            }
            for turn in 0..peers.len() {
                // Nobody always comes behind the same other.
                let (kind, _) = peers[(turn + round) % peers.len()];
                if !line.is_for(kind) {
                    continue;
                }
                let (number, of) = (round + 1, options.rounds);
                progress(&format!("round {number} of {of}: {name}, {}", kind.name()));
                match work::measure(line, kind, place, effort) {
                    Ok(values) => results.add(at, kind, &values),
                    Err(error) => {
                        right = false;
                        progress("");
                        say(&format!("{name}, {}: {error}\n", kind.name()));
                    }
                }
            }
        }
    }
    progress("");
    (results, right)
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
