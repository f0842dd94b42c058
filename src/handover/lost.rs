//! The end of a session that the last process left behind and nobody can go on with.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::keep::write;
use super::state::{Frame, Mark, OVER, SPOKEN, Unreadable};
use crate::limits;
use crate::log::{ClosedBy, Summary};
use crate::server::ledger::Entry;
use crate::stream::Stream;
use crate::websocket::close::Close;
use crate::websocket::framing::Framing;

/// What is left of it.
#[derive(Debug)]
pub struct Lost {
    /// Why.
    pub why: Unreadable,
    /// Its line in the ledger, where that can be read.
    pub entry: Option<Box<Entry>>,
    /// Whether the kernel does TLS on the client's socket, likewise.
    pub client_tls: bool,
    /// What the client can be told: nothing where it may be in the middle of a frame, which our
    /// words would become a part of.
    farewell: Vec<u8>,
    /// Its state, where that is one.
    file: Option<OwnedFd>,
}

impl Lost {
    /// Nothing of its state can be believed.
    pub(super) fn unknown(why: Unreadable) -> Self {
        Self {
            why,
            entry: None,
            client_tls: false,
            farewell: Vec::new(),
            file: None,
        }
    }

    /// Its state is whole and not true any more, or says what this program does not know.
    pub(super) fn of(frame: &Frame<'_>, file: OwnedFd, why: Unreadable) -> Self {
        let entry = frame.entry().map(Box::new);
        let farewell = if frame.mark == SPOKEN {
            Vec::new()
        } else {
            frame.farewell()
        };
        Self {
            why,
            entry,
            client_tls: frame.client_tls(),
            farewell,
            file: Some(file),
        }
    }

    /// Closes the client's connection, with 1012 where it can be told, and leaves the record.
    /// Returns within [`limits::CLOSE_TIME`].
    pub async fn end(self, mut client: Stream) {
        let mark = |mark: Mark| self.file.as_ref().map_or(Ok(()), |it| write(it, &mark, 0));
        let parting = async {
            // Who comes after us, should we end meanwhile, may not say it once more.
            mark(SPOKEN)?;
            client.write_all(&self.farewell).await?;
            client.shutdown().await?;
            // Closed with bytes unread, its socket would take back the farewell.
            let mut nobody = [0; 4096];
            while client.read(&mut nobody).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        // Whether it hears us or not, it is over.
        let _ = timeout(limits::CLOSE_TIME, parting).await;
        let _ = mark(OVER);
        let Some(entry) = &self.entry else { return };
        let duration = SystemTime::now().duration_since(entry.since);
        let summary = Summary {
            from_client: entry.tally.by_client(),
            to_client: entry.tally.for_client(),
            duration: duration.unwrap_or_default(),
            close: Close::LOST,
            closed_by: ClosedBy::Server,
            fault: Some(self.why.to_string().into()),
            framing: Framing::Binary,
        };
        let identity = entry.identity.as_deref();
        summary.log(&entry.client, identity, &entry.route, entry.id);
    }
}
