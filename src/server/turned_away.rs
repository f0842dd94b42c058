//! The answer for whoever there is no room for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::census::Full;
use crate::limits;
use crate::listener::Peer;
use crate::log::{Event, Throttle};
use crate::meters::{Meters, Reason};
use crate::sniff::{Speaks, sniff};
use crate::stream::Socket;

/// How many are being told so, and what the log was told of them.
#[derive(Debug)]
pub struct TurnedAway {
    meters: Arc<Meters>,
    logged: Throttle,
    telling: AtomicU32,
}

impl TurnedAway {
    /// Nobody so far.
    #[must_use]
    pub fn new(meters: Arc<Meters>) -> Self {
        Self {
            meters,
            logged: Throttle::default(),
            telling: AtomicU32::new(0),
        }
    }

    /// Counts who was turned away, and writes now and then into the log by which option.
    pub fn log(&self, peer: &Peer, full: Full) {
        let (option, reason) = match full {
            Full::Server => ("--max-connections", Reason::ServerFull),
            Full::Address => ("--max-connections-per-address", Reason::AddressFull),
            Full::Closed => return self.meters.refused(Reason::NoFurtherSession),
        };
        self.meters.refused(reason);
        if let Some(more) = self.logged.pass() {
            log::warn!(event = Event::TurnedAway, client:% = peer, option;
                "turned away client={peer} by {option}{more}");
        }
    }

    /// Runs `refusing` to its end, if not too many are being refused already. Returns within
    /// [`limits::REFUSAL_TIME`].
    pub async fn tell<T>(&self, peer: &Peer, full: Full, refusing: impl Future<Output = T>) {
        self.log(peer, full);
        if self.telling.fetch_add(1, Ordering::Relaxed) < limits::REFUSALS_AT_ONCE {
            let _ = timeout(limits::REFUSAL_TIME, refusing).await;
        }
        self.telling.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says 503 and reads what the client has sent, so that closing does not take the answer back. One
/// that speaks TLS could not read that, and a handshake is the costliest thing that a client can
/// ask for: it gets an alert, in the clear as TLS allows before the first handshake message.
///
/// # Errors
/// The client has left.
pub async fn refuse(mut socket: Socket, speaks_tls: bool) -> io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: websockify\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\nRetry-After: 10\r\n\
        Connection: close\r\n\r\nToo many connections\n";
    // A record of TLS 1.0's number, as all versions' first is: fatal, internal_error, which is the
    // one for want of resources (RFC 8446, 5.1 and 6.2).
    const ALERT: &[u8] = &[21, 3, 1, 0, 2, 2, 80];
    // Where all clients are plain, none is waited for.
    let first = if speaks_tls {
        socket.peek_first().await?
    } else {
        None
    };
    let answer = match first.map(sniff) {
        Some(Speaks::Tls) => ALERT,
        Some(Speaks::Plain | Speaks::Policy) | None => ANSWER,
    };
    socket.write_all(answer).await?;
    socket.shutdown().await?;
    let mut rest = [0; 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}
