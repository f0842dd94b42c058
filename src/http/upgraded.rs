//! From a request that was granted to the raw stream, which is the client's from then on.

use std::io;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::drain::Drain;
use crate::limits;
use crate::reception::Welcome;
use crate::stream::Stream;
use crate::websocket::framing::Framing;
use crate::websocket::legacy::handshake::{Challenge, KEY3};

/// A client that has become a WebSocket: its stream, and what it sent behind the request.
#[derive(Debug)]
pub struct Upgraded {
    /// The raw stream again.
    pub stream: Stream,
    /// Bytes that were read with the request.
    pub early: Bytes,
    /// How its payload looks.
    pub framing: Framing,
    /// Who it is.
    pub welcome: Welcome,
}

/// A WebSocket to be.
pub(super) struct Promise {
    pub(super) upgrade: OnUpgrade,
    pub(super) framing: Framing,
    /// What the client still asks.
    pub(super) challenge: Option<Challenge>,
    pub(super) welcome: Welcome,
}

impl Promise {
    /// Takes hyper's wrapping off, so that none of it stays under the session. `None` where there
    /// was none, or where a client that still asks something left, or did not go on in time.
    pub(super) async fn keep(self, drain: &mut Drain) -> Option<Upgraded> {
        let upgraded = self.upgrade.await.ok()?;
        let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
        let mut upgraded = Upgraded {
            stream: parts.io.into_inner(),
            early: parts.read_buf,
            framing: self.framing,
            welcome: self.welcome,
        };
        if let Some(challenge) = self.challenge {
            let solved = timeout(limits::REQUEST_HEAD_TIME, upgraded.solve(challenge));
            tokio::select! {
                biased;
                solved = solved => solved.ok()?.ok()?,
                () = drain.told() => return None,
            }
        }
        Some(upgraded)
    }
}

impl Upgraded {
    /// Answers a client of draft hixie-76: eight bytes from behind its request, sixteen behind our
    /// answer. Not to be taken up again where it was dropped.
    async fn solve(&mut self, challenge: Challenge) -> io::Result<()> {
        let mut key3 = [0; KEY3];
        let early = self.early.split_to(self.early.len().min(KEY3));
        key3[..early.len()].copy_from_slice(&early);
        self.stream.read_exact(&mut key3[early.len()..]).await?;
        let solution = challenge.solve(key3).ok_or(io::ErrorKind::Unsupported)?;
        self.stream.write_all(&solution).await?;
        self.stream.flush().await
    }
}
