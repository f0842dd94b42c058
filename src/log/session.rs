//! The one record that a session leaves, and all that the log ever sees of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::escape::Escaped;
use super::event::Event;
use crate::websocket::close::Close;
use crate::websocket::framing::Framing;

/// A session in numbers. It holds no token, no password and no path, so none can be logged.
#[derive(Debug)]
pub struct Summary {
    /// Payload bytes that the client sent and the target took.
    pub from_client: u64,
    /// Payload bytes that the target sent and the client's socket took.
    pub to_client: u64,
    /// From the answer to the request until the end.
    pub duration: Duration,
    /// The close frame that decided the end.
    pub close: Close,
    /// Whose it was.
    pub closed_by: ClosedBy,
    /// What TLS said when it lost the target.
    pub fault: Option<Box<str>>,
    /// How the client's payload looked.
    pub framing: Framing,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosedBy {
    /// The client, by a close frame, by breaking the protocol or by going away.
    Client,
    /// The target, by its end of file or by not answering.
    Target,
    /// We, at shutdown or because the client went silent.
    Server,
}

impl fmt::Display for ClosedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Target => "target",
            Self::Server => "server",
        })
    }
}

/// Who a client is, as a field of a record; nothing where that is not known.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'i>(pub Option<&'i str>);

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, " identity=\"{}\"", Escaped(name)),
            None => Ok(()),
        }
    }
}

impl Summary {
    /// Writes the record.
    pub fn log(
        &self,
        client: &impl fmt::Display,
        identity: Option<&str>,
        target: &impl fmt::Display,
        number: u64,
    ) {
        let name = Escaped(identity.unwrap_or_default());
        let identity = Identity(identity);
        let fault = self.fault.as_deref();
        let fault = fault.map(|fault| format!(" fault=\"{}\"", Escaped(fault)));
        // Rare enough to be told only then: who still comes by an old protocol.
        let framing = match self.framing {
            Framing::Binary => String::new(),
            old => format!(" framing={old}"),
        };
        let close_code = self.close.code.to_string();
        log::info!(
            event = Event::Session, client:% = client, target:% = target, identity:% = name,
            session = number, bytes_in = self.from_client, bytes_out = self.to_client,
            duration_usec:% = self.duration.as_micros(), close_code = close_code,
            closed_by:% = self.closed_by;
            "session client={client}{identity} target={target}{framing} from_client={} to_client={} \
             seconds={:.3} code={} by={} reason=\"{}\"{}",
            self.from_client,
            self.to_client,
            self.duration.as_secs_f64(),
            self.close.code,
            self.closed_by,
            Escaped(&self.close.reason),
            fault.unwrap_or_default(),
        );
    }
}
