//! What is said of some rounds' values.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::lines::Line;
use crate::peers::Kind;

/// The values of all rounds, by line, figure and peer.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<(usize, usize, Kind), Vec<f64>>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Results {
    /// Adds one round's values of `line`'s figures.
    pub(crate) fn add(&mut self, line: usize, kind: Kind, values: &[f64]) {
        for (figure, value) in values.iter().enumerate() {
            if value.is_finite() {
                self.0.entry((line, figure, kind)).or_default().push(*value);
            }
        }
    }

    pub(crate) fn of(&self, line: usize, figure: usize, kind: Kind) -> Option<Summary> {
        let values = self.0.get(&(line, figure, kind))?;
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            least = least.min(*value);
            most = most.max(*value);
        }
        Some(Summary {
            least,
            median: median(values),
            most,
        })
    }

    /// Every value, to be read by other programs: figure, unit, peer and a column for each round.
    pub(crate) fn to_tsv(&self, lines: &[Line]) -> String {
        let mut text = String::new();
        for ((line, figure, kind), values) in &self.0 {
            let figure = &lines[*line].figures[*figure];
            let _ = write!(text, "{}\t{:?}\t{}", figure.name, figure.unit, kind.name());
            for value in values {
                let _ = write!(text, "\t{value}");
            }
            text.push('\n');
        }
        text
    }
}

/// NaN where there is nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_leaves_out_what_could_not_be_done() {
        let mut results = Results::default();
        for value in [3.0, 9.0, f64::NAN, 1.0, 4.0] {
            results.add(0, Kind::Here, &[value]);
        }
        let expected = Summary {
            least: 1.0,
            median: 3.5,
            most: 9.0,
        };
        assert_eq!(results.of(0, 0, Kind::Here), Some(expected));
        assert_eq!(results.of(0, 0, Kind::Node), None);
        assert!(median(&[]).is_nan());
    }
}
