//! What is measured, and how good it has to be.

use crate::peers::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A stream to the client.
    Down,
    /// A stream from the client, in frames of so many bytes.
    Up { frame: usize },
    /// A message there and back, then the next.
    Echo,
    /// Messages there and back at a pace that every peer keeps.
    Paced,
    /// A connection, a message there and back, its end; then the next.
    Connect,
    /// Sessions that keep still.
    Idle,
    /// Ready to be connected to.
    Start,
}

/// The sessions that are held at once, one step after the other.
pub(crate) const SESSIONS: [usize; 4] = [10, 100, 1000, 4000];

/// Which of the round trips' times are looked at, in parts of a thousand.
pub(crate) const PERMILLE: [usize; 4] = [500, 900, 990, 999];

/// The load under which they are measured.
pub(crate) const PACED_SESSIONS: usize = 8;
pub(crate) const PACED_PER_SECOND: u32 = 500;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    CpuPerGb,
    MbPerSecond,
    CpuMicroseconds,
    /// That many of a thousand round trips took no longer.
    Microseconds(usize),
    KibPerSession,
    /// With so many sessions.
    Mib(usize),
    Milliseconds,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    None,
    /// So many times the plain relay's.
    OfFloor(f64),
    AtMost(f64),
}

/// One of the figures that a piece of work yields.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) goal: Goal,
}

impl Figure {
    /// Whether it has a line in the tables; the others are in a picture.
    pub(crate) fn is_in_table(&self) -> bool {
        !matches!(self.unit, Unit::Mib(_))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) work: Work,
    pub(crate) tls: bool,
    /// In the order in which `work::measure` returns their values.
    pub(crate) figures: Vec<Figure>,
}

impl Line {
    /// The plain relay that every other peer is held beside: it does less.
    pub(crate) fn floor(&self) -> Kind {
        if self.tls {
            Kind::HaProxy
        } else {
            Kind::SocketProxy
        }
    }

    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        (kind.speaks_tls() || !self.tls)
            // A plain relay listens before it is started.
            && (kind.speaks_websocket() || self.work != Work::Start)
    }

    fn new<const N: usize>(
        work: Work,
        tls: bool,
        figures: [(&'static str, Unit, Goal); N],
    ) -> Self {
        let figures = figures.map(|(name, unit, goal)| Figure { name, unit, goal });
        Self {
            work,
            tls,
            figures: figures.into(),
        }
    }
}

/// Every line, in the tables' order.
pub(crate) fn all() -> Vec<Line> {
    use Goal::{AtMost, None, OfFloor};
    use Unit::{CpuMicroseconds, CpuPerGb, KibPerSession, MbPerSecond, Milliseconds};
    let bulk = |work, tls, cpu, rate, goal| {
        let figures = [(cpu, CpuPerGb, goal), (rate, MbPerSecond, None)];
        Line::new(work, tls, figures)
    };
    let idle = |tls, name, goal| {
        let mut line = Line::new(Work::Idle, tls, [(name, KibPerSession, goal)]);
        line.figures.extend(SESSIONS.map(|sessions| Figure {
            name: "memory, MiB",
            unit: Unit::Mib(sessions),
            goal: None,
        }));
        line
    };
    let trips = [
        "round trip at 4,000 a second, p50, µs",
        "round trip at 4,000 a second, p90, µs",
        "round trip at 4,000 a second, p99, µs",
        "round trip at 4,000 a second, p99.9, µs",
    ];
    let paced = Line {
        work: Work::Paced,
        tls: false,
        figures: std::iter::zip(PERMILLE, trips)
            .map(|(permille, name)| Figure {
                name,
                unit: Unit::Microseconds(permille),
                goal: None,
            })
            .collect(),
    };
    vec![
        bulk(
            Work::Down,
            false,
            "CPU s/GB, target → client",
            "MB/s, target → client",
            OfFloor(1.15),
        ),
        bulk(
            Work::Up { frame: 65536 },
            false,
            "CPU s/GB, client → target, 64 KiB frames",
            "MB/s, client → target, 64 KiB frames",
            OfFloor(1.4),
        ),
        bulk(
            Work::Up { frame: 1024 },
            false,
            "CPU s/GB, client → target, 1 KiB frames",
            "MB/s, client → target, 1 KiB frames",
            None,
        ),
        bulk(
            Work::Up { frame: 64 },
            false,
            "CPU s/GB, client → target, 64 B frames",
            "MB/s, client → target, 64 B frames",
            OfFloor(2.0),
        ),
        Line::new(
            Work::Echo,
            false,
            [(
                "CPU µs for a 64 B round trip",
                CpuMicroseconds,
                OfFloor(1.1),
            )],
        ),
        paced,
        Line::new(
            Work::Connect,
            false,
            [(
                "CPU µs to connect, echo, close",
                CpuMicroseconds,
                OfFloor(1.2),
            )],
        ),
        idle(false, "memory for an idle session, plain, KiB", AtMost(4.0)),
        bulk(
            Work::Down,
            true,
            "CPU s/GB over TLS, target → client",
            "MB/s over TLS, target → client",
            OfFloor(1.15),
        ),
        bulk(
            Work::Up { frame: 65536 },
            true,
            "CPU s/GB over TLS, client → target, 64 KiB frames",
            "MB/s over TLS, client → target, 64 KiB frames",
            OfFloor(1.15),
        ),
        Line::new(
            Work::Connect,
            true,
            [(
                "CPU µs to connect over TLS, echo, close",
                CpuMicroseconds,
                None,
            )],
        ),
        idle(true, "memory for an idle session, TLS, KiB", AtMost(15.0)),
        Line::new(
            Work::Start,
            false,
            [
                (
                    "start to READY in the full sandbox, ms",
                    Milliseconds,
                    AtMost(5.0),
                ),
                (
                    "start to READY in the full sandbox, CPU ms",
                    Milliseconds,
                    None,
                ),
            ],
        ),
    ]
}
