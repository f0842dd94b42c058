//! Kinds of records that have a `MESSAGE_ID`, so that they can be asked for and explained:
//! `journalctl MESSAGE_ID=…`, `journalctl -x`. docs/JOURNAL.md lists them.

use log::kv::{ToValue, Value};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The sandbox was to be enforced and cannot be.
    SandboxRefused,
    /// What the kernel enforces from now on.
    Sandbox,
    /// The bridge serves.
    Ready,
    /// A session is over.
    Session,
    /// A target cannot be reached.
    Unreachable,
    /// A client is not who may come in.
    AuthFailed,
    /// There is no room for a client.
    TurnedAway,
    /// Files were read again.
    Reloaded,
    /// Files were read again and cannot be used.
    NotReloaded,
    /// A certificate is about to end.
    Expires,
    /// The bridge ends by itself.
    Ending,
    /// Sessions of an earlier process go on.
    Resumed,
    /// A session of an earlier process cannot go on.
    Lost,
}

impl Event {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::SandboxRefused,
        Self::Sandbox,
        Self::Ready,
        Self::Session,
        Self::Unreachable,
        Self::AuthFailed,
        Self::TurnedAway,
        Self::Reloaded,
        Self::NotReloaded,
        Self::Expires,
        Self::Ending,
        Self::Resumed,
        Self::Lost,
    ];

    /// Its `MESSAGE_ID`, the same for ever.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::SandboxRefused => "c044fa114da44cb48eced0eb6acf41ed",
            Self::Sandbox => "5054b067198444bbade570930f052dea",
            Self::Ready => "04b6d574c2cd437c80a6663873bbdacf",
            Self::Session => "875642932ad646babf0c329bc09a2ad4",
            Self::Unreachable => "1366b77b51ee41f6849bd17bc8a370d2",
            Self::AuthFailed => "190f030622ea4a34b8ebb0e96dd582d1",
            Self::TurnedAway => "31b26511d54d4d219c528fe1646016d6",
            Self::Reloaded => "e5e16e2b40494a28a14d5cabf722d81d",
            Self::NotReloaded => "8d0f0d328402479f8118febba0d298f0",
            Self::Expires => "0a2be2ab156c49c8a3859344644e9fa5",
            Self::Ending => "9deb35c16ce64c5b838a2738ab61e28b",
            Self::Resumed => "be0a42563d4e43209d542e430e87f4e7",
            Self::Lost => "e365f6a8fd54413cbb49e4acba50e0c3",
        }
    }
}

impl ToValue for Event {
    fn to_value(&self) -> Value<'_> {
        Value::from(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn each_kind_is_in_the_catalog_and_in_the_table() {
        let catalog = include_str!("../../systemd/websockify.catalog");
        let table = include_str!("../../docs/JOURNAL.md");
        for event in Event::ALL {
            let id = event.id();
            assert!(catalog.contains(&format!("-- {id}\n")), "{event:?}");
            assert!(table.contains(&format!("`{id}`")), "{event:?}");
        }
        let entries = catalog.lines().filter(|line| line.starts_with("-- "));
        assert_eq!(entries.count(), Event::ALL.len());
    }
}
