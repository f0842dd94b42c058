//! Records with fields, in the journal's own protocol.

use std::borrow::Cow;

use libsystemd::logging::{Priority, connected_to_journal, journal_send};
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

/// What `journalctl -t` goes by.
const IDENTIFIER: &str = "websockify";

/// Whether the journal reads what this process writes to standard error: then it can have fields
/// as well (`JOURNAL_STREAM`, systemd.exec(5)).
pub(super) fn is_connected() -> bool {
    connected_to_journal()
}

/// Sends a record, and waits while the journal has no room for it; `false` when it is not there.
pub(super) fn send(level: Level, text: &str, fields: &Fields) -> bool {
    let fields = fields.0.iter().map(|(name, value)| (name, value));
    journal_send(priority(level), text, fields).is_ok()
}

fn priority(level: Level) -> Priority {
    match level {
        Level::Error => Priority::Error,
        Level::Warn => Priority::Warning,
        Level::Info => Priority::Info,
        Level::Debug | Level::Trace => Priority::Debug,
    }
}

/// `client = …` in a call becomes `WEBSOCKIFY_CLIENT=…`, and `event = …` the `MESSAGE_ID`.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(Cow<'static, str>, String)>);

impl Fields {
    /// What each record has.
    pub(super) fn new() -> Self {
        Self(vec![("SYSLOG_IDENTIFIER".into(), IDENTIFIER.into())])
    }

    pub(super) fn of(record: &Record<'_>) -> Self {
        let mut fields = Self::new();
        // Nothing that we visit fails.
        let _ = record.key_values().visit(&mut fields);
        fields
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = value.to_string();
        if !value.is_empty() {
            let name = match key.as_str() {
                "event" => "MESSAGE_ID".into(),
                key => format!("WEBSOCKIFY_{}", key.to_ascii_uppercase()).into(),
            };
            self.0.push((name, value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::kv::{Source, Value};

    use super::Fields;
    use crate::log::Event;

    #[test]
    fn keys_become_fields_and_an_event_its_id() {
        let mut fields = Fields::default();
        let session = Value::from(Event::Session.id());
        let pairs = [
            ("event", session),
            ("bytes_in", Value::from(7)),
            ("identity", Value::from("")),
        ];
        pairs.as_slice().visit(&mut fields).unwrap();
        assert_eq!(
            fields.0,
            [
                ("MESSAGE_ID".into(), Event::Session.id().to_owned()),
                ("WEBSOCKIFY_BYTES_IN".into(), "7".to_owned()),
            ]
        );
    }
}
