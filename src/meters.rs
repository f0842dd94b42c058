//! What has been counted since the start, and its exposition for monitoring.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The type of [`Meters::openmetrics`]' text.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why somebody got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `--max-connections`.
    ServerFull,
    /// `--max-connections-per-address`.
    AddressFull,
    /// The door, for a page or a session.
    Door,
    /// No token where one is needed.
    NoToken,
    /// A token that stands for nothing.
    UnknownToken,
    /// Too many wrong tokens of one network at once.
    Guessing,
    /// The source of tokens could not be asked.
    TokensUnavailable,
    /// The server ends, or has had its one session.
    NoFurtherSession,
    /// The target may not be reached.
    TargetForbidden,
    /// The target cannot be reached.
    TargetUnreachable,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::ServerFull,
        Self::AddressFull,
        Self::Door,
        Self::NoToken,
        Self::UnknownToken,
        Self::Guessing,
        Self::TokensUnavailable,
        Self::NoFurtherSession,
        Self::TargetForbidden,
        Self::TargetUnreachable,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ServerFull => "server_full",
            Self::AddressFull => "address_full",
            Self::Door => "authentication",
            Self::NoToken => "no_token",
            Self::UnknownToken => "unknown_token",
            Self::Guessing => "guessing",
            Self::TokensUnavailable => "tokens_unavailable",
            Self::NoFurtherSession => "no_further_session",
            Self::TargetForbidden => "target_forbidden",
            Self::TargetUnreachable => "target_unreachable",
        }
    }
}

/// The upper bounds of the time to reach a target, in milliseconds: from a socket on this machine
/// to [`crate::limits::CONNECT_TIME`].
const BOUNDS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// Counts of events.
#[derive(Debug, Default)]
pub struct Meters {
    refused: [AtomicU64; Reason::ALL.len()],
    /// Connections by the time they took: each bound's, then the slower ones.
    reached: [AtomicU64; BOUNDS.len() + 1],
    reached_micros: AtomicU64,
}

/// What is so at this moment.
#[derive(Debug)]
pub struct Now {
    /// Connections, sessions included.
    pub connections: u32,
    /// Sessions.
    pub sessions: u32,
    /// Sessions that ever began.
    pub served: u64,
    /// Payload bytes from clients, and to them.
    pub moved: (u64, u64),
    /// The names in each certificate, and when it ends in seconds since 1970.
    pub certificates: Vec<(String, i64)>,
}

impl Meters {
    /// Counts somebody who got nothing.
    pub fn refused(&self, reason: Reason) {
        self.refused[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a target that was reached within `time`.
    pub fn reached(&self, time: Duration) {
        let millis = |bound: &&u64| time <= Duration::from_millis(**bound);
        let place = BOUNDS.iter().take_while(|bound| !millis(bound)).count();
        self.reached[place].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.reached_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Who got nothing so far, by the reason's name.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused.iter().map(|it| it.load(Ordering::Relaxed));
        Reason::ALL.iter().map(|reason| reason.name()).zip(counts)
    }

    /// All of it as OpenMetrics 1.0 text.
    #[must_use]
    pub fn openmetrics(&self, now: &Now) -> String {
        let mut text = String::new();
        // A String takes whatever is written to it.
        let _ = self.write(&mut text, now);
        text
    }

    fn write(&self, to: &mut String, now: &Now) -> fmt::Result {
        family(to, "connections", "gauge", "Connections, sessions included")?;
        writeln!(to, "websockify_connections {}", now.connections)?;
        family(to, "sessions", "gauge", "WebSocket sessions")?;
        writeln!(to, "websockify_sessions {}", now.sessions)?;
        family(
            to,
            "sessions_started",
            "counter",
            "Sessions that ever began",
        )?;
        writeln!(to, "websockify_sessions_started_total {}", now.served)?;
        family(to, "payload_bytes", "counter", "Payload of sessions")?;
        writeln!(to, "# UNIT websockify_payload_bytes bytes")?;
        for (direction, bytes) in [("from_client", now.moved.0), ("to_client", now.moved.1)] {
            writeln!(
                to,
                "websockify_payload_bytes_total{{direction=\"{direction}\"}} {bytes}"
            )?;
        }
        family(to, "refused", "counter", "Clients that got nothing")?;
        for (reason, count) in self.refusals() {
            writeln!(
                to,
                "websockify_refused_total{{reason=\"{reason}\"}} {count}"
            )?;
        }
        self.write_reached(to)?;
        const EXPIRY: &str = "certificate_expiry_timestamp_seconds";
        family(to, EXPIRY, "gauge", "When a certificate ends")?;
        writeln!(to, "# UNIT websockify_{EXPIRY} seconds")?;
        for (names, until) in &now.certificates {
            let names = Label(names);
            writeln!(to, "websockify_{EXPIRY}{{names=\"{names}\"}} {until}")?;
        }
        writeln!(to, "# EOF")
    }

    fn write_reached(&self, to: &mut String) -> fmt::Result {
        const NAME: &str = "websockify_target_connect_seconds";
        let help = "Time to reach targets that were reached";
        family(to, "target_connect_seconds", "histogram", help)?;
        writeln!(to, "# UNIT {NAME} seconds")?;
        let mut sum = 0;
        for (place, count) in self.reached.iter().enumerate() {
            sum += count.load(Ordering::Relaxed);
            match BOUNDS.get(place) {
                Some(bound) => {
                    let seconds = Duration::from_millis(*bound).as_secs_f64();
                    writeln!(to, "{NAME}_bucket{{le=\"{seconds:?}\"}} {sum}")?;
                }
                None => writeln!(to, "{NAME}_bucket{{le=\"+Inf\"}} {sum}")?,
            }
        }
        let micros = self.reached_micros.load(Ordering::Relaxed);
        let seconds = Duration::from_micros(micros).as_secs_f64();
        writeln!(to, "{NAME}_sum {seconds:?}\n{NAME}_count {sum}")
    }
}

fn family(to: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(to, "# TYPE websockify_{name} {kind}")?;
    writeln!(to, "# HELP websockify_{name} {help}.")
}

/// A label's value.
struct Label<'t>(&'t str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BOUNDS, Label, Meters, Now, Reason};

    #[test]
    fn a_histogram_counts_each_in_its_place_and_all_above_it() {
        let meters = Meters::default();
        for time in [0, 1, 2, 9_999, 10_000, 10_001] {
            meters.reached(Duration::from_millis(time));
        }
        let text = meters.openmetrics(&Now {
            connections: 0,
            sessions: 0,
            served: 0,
            moved: (0, 0),
            certificates: vec![("a\"b".into(), 7)],
        });
        for line in [
            "websockify_target_connect_seconds_bucket{le=\"0.001\"} 2",
            "websockify_target_connect_seconds_bucket{le=\"0.002\"} 3",
            "websockify_target_connect_seconds_bucket{le=\"2.5\"} 3",
            "websockify_target_connect_seconds_bucket{le=\"10.0\"} 5",
            "websockify_target_connect_seconds_bucket{le=\"+Inf\"} 6",
            "websockify_target_connect_seconds_count 6",
            "websockify_target_connect_seconds_sum 30.003",
            "websockify_certificate_expiry_timestamp_seconds{names=\"a\\\"b\"} 7",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn each_reason_has_its_own_place() {
        let meters = Meters::default();
        for reason in Reason::ALL {
            meters.refused(reason);
        }
        assert!(meters.refusals().all(|(_, count)| count == 1));
        assert_eq!(Label("a\\b\n\"").to_string(), "a\\\\b\\n\\\"");
    }
}
