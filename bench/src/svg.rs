//! Pictures of bars and of curves, readable on light and dark pages.

use std::fmt::Write;

use crate::stats::Summary;
use crate::table::short;

const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}\
    .title{font-weight:600;font-size:14px}\
    .small{font-size:11px;fill:#59636e}\
    .line{stroke:#d1d9e0;stroke-width:1}\
    .spread{stroke:#1f2328;stroke-width:1.5}\
    .curve{fill:none;stroke-width:2}\
    @media (prefers-color-scheme:dark){\
    text{fill:#f0f6fc}.small{fill:#9198a1}.line{stroke:#3d444d}.spread{stroke:#f0f6fc}}\
    </style>";

/// A value in the colour of whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) colour: &'static str,
    pub(crate) value: Summary,
}

/// Bars with an axis of their own.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// Panels one below the other, all of them in `unit`.
pub(crate) fn panels(title: &str, unit: &str, panels: &[Panel]) -> String {
    const LEFT: f64 = 140.0;
    const LENGTH: f64 = 460.0;
    const STEP: f64 = 20.0;
    let mut body = heading(title);
    let mut top = 40.0;
    for Panel { title, bars } in panels {
        let _ = write!(
            body,
            "<text class='title' x='16' y='{}'>{title}</text>",
            top + 14.0
        );
        top += 24.0;
        let most = bars.iter().map(|bar| bar.value.most).fold(0.0, f64::max);
        let tick = round_tick(most / 4.0);
        let end = (most / tick).ceil() * tick;
        let x = |value: f64| LEFT + value / end * LENGTH;
        let bottom = top + STEP * bars.len() as f64;
        for number in 0..=(end / tick).round() as u32 {
            let value = f64::from(number) * tick;
            let at = x(value);
            let _ = write!(
                body,
                "<path class='line' d='M{at:.1} {top}V{bottom}'/>\
                 <text class='small' x='{at:.1}' y='{}' text-anchor='middle'>{}</text>",
                bottom + 14.0,
                plain(value)
            );
        }
        for bar in bars {
            let Summary {
                least,
                median,
                most,
            } = bar.value;
            let middle = top + STEP / 2.0;
            let _ = write!(
                body,
                "<text x='{}' y='{}' text-anchor='end'>{}</text>\
                 <rect x='{LEFT}' y='{}' width='{:.1}' height='13' fill='{}'/>\
                 <path class='spread' d='M{:.1} {middle}H{:.1}'/>\
                 <text x='{:.1}' y='{}'>{}</text>",
                LEFT - 8.0,
                middle + 4.5,
                bar.name,
                middle - 6.5,
                x(median) - LEFT,
                bar.colour,
                x(least),
                x(most),
                x(most) + 6.0,
                middle + 4.5,
                short(median)
            );
            top += STEP;
        }
        let _ = write!(
            body,
            "<text class='small' x='{}' y='{}'>{unit}</text>",
            LEFT + LENGTH + 24.0,
            bottom + 14.0
        );
        top += 36.0;
    }
    document(720.0, top, &body)
}

/// Points from left to right, in the colour of whose they are.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) colour: &'static str,
    /// At which of the marks below, and how high.
    pub(crate) points: Vec<(usize, f64)>,
}

/// A mark below the curves, and where it stands between the others.
pub(crate) type Mark = (String, f64);

/// Curves over at least two marks, on a scale of powers of ten.
pub(crate) fn curves(title: &str, across: &str, up: &str, marks: &[Mark], all: &[Curve]) -> String {
    const LEFT: f64 = 64.0;
    const TOP: f64 = 64.0;
    const WIDTH: f64 = 480.0;
    const HEIGHT: f64 = 320.0;
    let values = || {
        all.iter()
            .flat_map(|curve| &curve.points)
            .map(|point| point.1)
    };
    let lowest = values().fold(f64::INFINITY, f64::min).log10().floor();
    let highest = values()
        .fold(0.0, f64::max)
        .log10()
        .ceil()
        .max(lowest + 1.0);
    let (first, last) = (marks[0].1, marks[marks.len() - 1].1);
    let x = |mark: usize| LEFT + 12.0 + (marks[mark].1 - first) / (last - first) * WIDTH;
    let y = |value: f64| TOP + (highest - value.log10()) / (highest - lowest) * HEIGHT;
    let (right, bottom) = (x(marks.len() - 1) + 12.0, TOP + HEIGHT);

    let mut body = heading(title);
    let _ = write!(body, "<text class='small' x='16' y='52'>{up}</text>");
    for power in lowest as i32..=highest as i32 {
        let value = 10_f64.powi(power);
        let _ = write!(
            body,
            "<path class='line' d='M{LEFT} {at:.1}H{right:.1}'/>\
             <text class='small' x='{}' y='{:.1}' text-anchor='end'>{}</text>",
            LEFT - 6.0,
            y(value) + 4.0,
            plain(value),
            at = y(value),
        );
    }
    for (mark, (name, _)) in marks.iter().enumerate() {
        let _ = write!(
            body,
            "<text class='small' x='{:.1}' y='{}' text-anchor='middle'>{name}</text>",
            x(mark),
            bottom + 18.0
        );
    }
    let _ = write!(
        body,
        "<text class='small' x='{:.1}' y='{}' text-anchor='middle'>{across}</text>",
        f64::midpoint(LEFT, right),
        bottom + 38.0
    );
    // Names stand at the right, in the order of the curves' ends and never upon each other.
    let mut ends: Vec<(f64, &Curve)> = all
        .iter()
        .filter_map(|curve| Some((y(curve.points.last()?.1), curve)))
        .collect();
    ends.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut lowest_name = f64::NEG_INFINITY;
    for (end, curve) in ends {
        let mut path = String::new();
        for (mark, value) in &curve.points {
            let (x, y) = (x(*mark), y(*value));
            let _ = write!(
                path,
                "{}{x:.1} {y:.1}",
                if path.is_empty() { 'M' } else { 'L' }
            );
            let colour = curve.colour;
            let _ = write!(
                body,
                "<circle cx='{x:.1}' cy='{y:.1}' r='3.5' fill='{colour}'/>"
            );
        }
        lowest_name = f64::max(lowest_name + 18.0, end);
        let (mark, value) = curve.points[curve.points.len() - 1];
        let until = match mark + 1 == marks.len() {
            true => String::new(),
            false => format!(" (at {})", marks[mark].0),
        };
        let _ = write!(
            body,
            "<path class='curve' stroke='{colour}' d='{path}'/>\
             <rect x='{:.1}' y='{:.1}' width='10' height='10' fill='{colour}'/>\
             <text x='{:.1}' y='{:.1}'>{} {}{until}</text>",
            right + 10.0,
            lowest_name - 5.0,
            right + 26.0,
            lowest_name + 4.5,
            curve.name,
            short(value),
            colour = curve.colour,
        );
    }
    document(820.0, bottom + 52.0, &body)
}

fn heading(title: &str) -> String {
    format!("<text class='title' x='16' y='24'>{title}</text>")
}

fn document(width: f64, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' \
         viewBox='0 0 {width} {height}' role='img'>{STYLE}{body}</svg>\n"
    )
    // An element a line, so that a picture's changes can be read.
    .replace("><text", ">\n<text")
    .replace("><path", ">\n<path")
    .replace("><rect", ">\n<rect")
    .replace("><circle", ">\n<circle")
}

/// 1, 2 or 5 times a power of ten, and not below `least`.
fn round_tick(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let tick = [1.0, 2.0, 5.0].into_iter().find(|it| it * power >= least);
    tick.unwrap_or(10.0) * power
}

/// A number on an axis, without zeros at its end.
fn plain(value: f64) -> String {
    let digits = if value >= 10.0 { 0 } else { 3 };
    let text = format!("{value:.digits$}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        for (least, tick) in [
            (0.08, 0.1),
            (0.11, 0.2),
            (0.3, 0.5),
            (6.0, 10.0),
            (130.0, 200.0),
        ] {
            let got = round_tick(least);
            assert!((got - tick).abs() < 1e-9, "{least}: {got}");
        }
        assert_eq!(plain(0.1 + 0.2), "0.3");
        assert_eq!(plain(0.0), "0");
        assert_eq!(plain(100.0), "100");
    }
}
