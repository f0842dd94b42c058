//! What bridge and supervisor say to each other, a line each.

use std::fmt;

/// From the bridge. The end of the stream means [`Order::Stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Start the program.
    Start,
    /// Stop everything that is left of it, and end.
    Stop,
}

/// From the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The program runs; its process id, which is its group's.
    Started(i32),
    /// It could not be started.
    Failed(String),
    /// Its port is listened on.
    Listening,
    /// It ended.
    Ended {
        /// How.
        end: End,
        /// Whether it left processes behind.
        left: bool,
    },
    /// The last process that it left behind has ended.
    Gone,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Status(u8),
    /// By a signal's number.
    Signal(u8),
}

impl End {
    /// The exit status that says the same, as in a shell.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Status(status) => status,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

impl Order {
    /// The line, with its end.
    #[must_use]
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Start => "start\n",
            Self::Stop => "stop\n",
        }
    }

    /// Reads a line without its end.
    #[must_use]
    pub(super) fn parse(line: &str) -> Option<Self> {
        [Self::Start, Self::Stop]
            .into_iter()
            .find(|order| order.line().trim_end() == line)
    }
}

impl Event {
    /// The line, with its end.
    #[must_use]
    pub(super) fn line(&self) -> String {
        match self {
            Self::Started(pid) => format!("started {pid}\n"),
            Self::Failed(why) => format!("failed {}\n", why.replace('\n', " ")),
            Self::Listening => "listening\n".into(),
            Self::Ended { end, left } => {
                format!("ended {end} {}\n", if *left { "left" } else { "alone" })
            }
            Self::Gone => "gone\n".into(),
        }
    }

    /// Reads a line without its end.
    #[must_use]
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "started" => rest.parse().ok().map(Self::Started),
            "failed" => Some(Self::Failed(rest.to_owned())),
            "listening" => Some(Self::Listening),
            "ended" => {
                let mut words = rest.split(' ');
                let kind = words.next()?;
                let number = words.next()?.parse().ok()?;
                let end = match kind {
                    "status" => End::Status(number),
                    "signal" => End::Signal(number),
                    _ => return None,
                };
                let left = words.next()? == "left";
                Some(Self::Ended { end, left })
            }
            "gone" => Some(Self::Gone),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Event, Order};

    #[test]
    fn what_is_said_is_what_is_heard() {
        for event in [
            Event::Started(4711),
            Event::Failed("No such file or directory (os error 2)".into()),
            Event::Listening,
            Event::Ended {
                end: End::Status(3),
                left: true,
            },
            Event::Ended {
                end: End::Signal(9),
                left: false,
            },
            Event::Gone,
        ] {
            let line = event.line();
            assert_eq!(Event::parse(line.strip_suffix('\n').unwrap()), Some(event));
        }
        for order in [Order::Start, Order::Stop] {
            assert_eq!(Order::parse(order.line().trim_end()), Some(order));
        }
        for line in ["", "ended", "ended status 256 left", "started", "go"] {
            assert_eq!((Event::parse(line), Order::parse(line)), (None, None));
        }
    }

    #[test]
    fn a_signal_is_a_status_as_in_a_shell() {
        assert_eq!(End::Status(3).status(), 3);
        assert_eq!(End::Signal(15).status(), 143);
    }
}
