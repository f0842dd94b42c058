//! Which figures are drawn, and how.

use crate::lines::{Line, PERMILLE, SESSIONS, Unit, Work};
use crate::peers::Kind;
use crate::stats::Results;
use crate::svg::{Bar, Curve, Panel, curves, panels};

/// A file beside the page, and what it shows in words.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    pub(crate) svg: String,
}

pub(crate) fn all(lines: &[Line], results: &Results) -> Vec<Picture> {
    let bars = |unit| {
        let mut panels = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            for (figure, _) in line
                .figures
                .iter()
                .enumerate()
                .filter(|it| it.1.unit == unit)
            {
                let (_, title) = line.figures[figure]
                    .name
                    .split_once(", ")
                    .unwrap_or_default();
                let tls = if line.tls { ", TLS" } else { "" };
                panels.push(Panel {
                    title: format!("{title}{tls}"),
                    bars: Kind::ALL
                        .into_iter()
                        .filter_map(|kind| {
                            Some(Bar {
                                name: kind.name(),
                                colour: colour(kind),
                                value: results.of(at, figure, kind)?,
                            })
                        })
                        .collect(),
                });
            }
        }
        panels.retain(|panel: &Panel| !panel.bars.is_empty());
        panels
    };
    let trend = |work, units: &[Unit]| {
        let at = lines.iter().position(|line| line.work == work && !line.tls);
        let mut curves = Vec::new();
        for kind in Kind::ALL {
            let points: Vec<(usize, f64)> = units
                .iter()
                .enumerate()
                .filter_map(|(mark, unit)| {
                    let figure = lines[at?].figures.iter().position(|it| it.unit == *unit)?;
                    Some((mark, results.of(at?, figure, kind)?.median))
                })
                .collect();
            if !points.is_empty() {
                curves.push(Curve {
                    name: kind.name(),
                    colour: colour(kind),
                    points,
                });
            }
        }
        curves
    };
    let picture = |name, words, svg| Picture { name, words, svg };
    let sessions = SESSIONS.map(|sessions| (sessions.to_string(), (sessions as f64).log10()));
    let part = |permille| format!("{} %", permille as f64 / 10.0);
    let parts: Vec<_> = std::iter::zip(PERMILLE.map(part), (0..).map(f64::from)).collect();
    vec![
        picture(
            "throughput.svg",
            "Throughput of one session",
            panels(
                "Throughput of one session: more is better; the line is the spread",
                "MB/s",
                &bars(Unit::MbPerSecond),
            ),
        ),
        picture(
            "cpu.svg",
            "Processor time for a gigabyte",
            panels(
                "Processor time for a gigabyte: less is better; the line is the spread",
                "CPU s/GB",
                &bars(Unit::CpuPerGb),
            ),
        ),
        picture(
            "memory.svg",
            "Memory by the number of idle sessions",
            curves(
                "Memory with idle sessions (less is better)",
                "sessions",
                "MiB (PSS)",
                &sessions,
                &trend(Work::Idle, &SESSIONS.map(Unit::Mib)),
            ),
        ),
        picture(
            "latency.svg",
            "Percentiles of the round trip under load",
            curves(
                "Round trips of 64 B, 4,000 a second in 8 sessions (less is better)",
                "of all round trips took at most",
                "µs",
                &parts,
                &trend(Work::Paced, &PERMILLE.map(Unit::Microseconds)),
            ),
        ),
    ]
}

/// Seen on light and on dark ground.
fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Here => "#2f7ff0",
        Kind::Python => "#d98a00",
        Kind::Websocat => "#2a9d5c",
        Kind::Node => "#b86bc4",
        Kind::HaProxy => "#8a9099",
        Kind::SocketProxy => "#b08968",
    }
}
