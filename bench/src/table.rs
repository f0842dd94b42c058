//! Tables in Markdown: medians, spreads, and how often the floor's each is.

use crate::lines::{Figure, Goal, Line};
use crate::peers::Kind;
use crate::stats::{Results, Summary};

/// A table of the plain lines, and one of those over TLS.
pub(crate) fn tables(lines: &[Line], results: &Results) -> String {
    [false, true]
        .map(|tls| table(lines, tls, results))
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
}

/// `None` where nothing of it was measured.
fn table(lines: &[Line], tls: bool, results: &Results) -> Option<String> {
    let rows: Vec<(usize, usize)> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.tls == tls)
        .flat_map(|(at, line)| (0..line.figures.len()).map(move |figure| (at, figure)))
        .filter(|(line, figure)| lines[*line].figures[*figure].is_in_table())
        .filter(|(line, figure)| {
            Kind::ALL
                .iter()
                .any(|kind| results.of(*line, *figure, *kind).is_some())
        })
        .collect();
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| {
            rows.iter()
                .any(|(line, figure)| results.of(*line, *figure, *kind).is_some())
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let mut cells = vec![
        [String::new()]
            .into_iter()
            .chain(kinds.iter().map(|kind| kind.name().to_owned()))
            .chain(["goal".to_owned()])
            .collect::<Vec<_>>(),
    ];
    for (line, figure) in rows {
        let floor = results.of(line, figure, lines[line].floor());
        let of = |kind: &Kind| results.of(line, figure, *kind);
        let figure = &lines[line].figures[figure];
        let mut row = vec![figure.name.to_owned()];
        row.extend(kinds.iter().map(|kind| spread(of(kind), *kind)));
        row.push(goal(figure, of(&Kind::Here), floor));
        cells.push(row);
        let Some(floor) = floor else { continue };
        let mut row = vec!["× floor".to_owned()];
        row.extend(
            kinds.iter().map(|kind| {
                of(kind).map_or_else(String::new, |it| short(it.median / floor.median))
            }),
        );
        row.push(String::new());
        cells.push(row);
    }
    Some(aligned(&cells))
}

fn spread(summary: Option<Summary>, kind: Kind) -> String {
    let Some(Summary {
        least,
        median,
        most,
    }) = summary
    else {
        return String::new();
    };
    let strong = if kind == Kind::Here { "**" } else { "" };
    format!(
        "{strong}{}{strong} [{}–{}]",
        short(median),
        short(least),
        short(most)
    )
}

/// The goal, and whether it is met.
fn goal(figure: &Figure, here: Option<Summary>, floor: Option<Summary>) -> String {
    let (words, value, limit) = match (figure.goal, here, floor) {
        (Goal::OfFloor(limit), Some(here), Some(floor)) => (
            format!("≤ {limit} × floor"),
            here.median / floor.median,
            limit,
        ),
        (Goal::AtMost(limit), Some(here), _) => (format!("≤ {limit}"), here.median, limit),
        _ => return String::new(),
    };
    let verdict = if value <= limit { "met" } else { "**not met**" };
    format!("{words}: {verdict}")
}

/// Three digits, or all of those before the point.
pub(crate) fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        ..0.1 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A table of Markdown whose columns stand below each other in a terminal as well.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in std::iter::zip(row, &widths) {
            text += &format!("| {cell:width$} ");
        }
        text += "|\n";
        if number == 0 {
            for width in &widths {
                text += &format!("|{}", "-".repeat(width + 2));
            }
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines;

    #[test]
    fn a_goal_is_judged_by_the_medians() {
        let lines = lines::all();
        let mut results = Results::default();
        for (here, floor) in [(0.3, 0.3), (0.36, 0.3), (0.9, 0.3)] {
            results.add(0, Kind::Here, &[here, 3000.0]);
            results.add(0, Kind::SocketProxy, &[floor, 3000.0]);
        }
        let text = tables(&lines, &results);
        assert!(
            text.contains("| **0.36** [0.30–0.90] | 0.30 [0.30–0.30] |"),
            "{text}"
        );
        assert!(text.contains("≤ 1.15 × floor: **not met** |"), "{text}");
        assert!(text.contains("| 1.20 "), "{text}");
        for _ in 0..4 {
            results.add(0, Kind::Here, &[0.34, 3000.0]);
        }
        let text = tables(&lines, &results);
        assert!(text.contains("≤ 1.15 × floor: met |"), "{text}");
    }
}
