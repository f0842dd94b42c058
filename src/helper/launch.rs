//! The bridge's side of a helper's start and end: [`starter`] does both, outside of the sandbox.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{Receiver, Sender};

use super::program::Program;
use super::{handing, starter};
use crate::beside;

/// A process that starts one program, and no other, whenever it is asked to.
#[derive(Clone, Debug)]
pub(super) struct Starter {
    pub(super) program: Program,
    orders: Arc<StdUnixStream>,
}

/// A program that was started.
pub(super) struct Run {
    pub(super) stdin: Sender,
    pub(super) stdout: Receiver,
    pub(super) stderr: Receiver,
    pub(super) lead: Lead,
}

/// What a run hangs on: when this is dropped, it is killed.
pub(super) struct Lead {
    line: UnixStream,
    /// How it ended, as far as that was heard.
    status: Vec<u8>,
}

impl Starter {
    /// Starts the process. Call it before there are threads and before the sandbox.
    pub(super) fn new(program: Program) -> io::Result<Self> {
        let (orders, theirs) = StdUnixStream::pair()?;
        beside::command(starter::WORD)
            .args(program.words())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // Not ours, which a daemon lets go of.
            .stderr(Stdio::null())
            .spawn()?;
        let orders = Arc::new(orders);
        Ok(Self { program, orders })
    }

    /// Returns when the process is gone, which nothing but a kill does to it while we live: then the
    /// program cannot be started again.
    pub(super) async fn lost(&self) {
        let orders = self.orders.try_clone();
        let orders = orders.and_then(|it| it.set_nonblocking(true).map(|()| it));
        match orders.and_then(UnixStream::from_std) {
            // It says nothing there, so this is its end.
            Ok(orders) => drop(handing::take(&orders).await),
            Err(error) => {
                log::warn!("helper {}: its end may go unnoticed: {error}", self.program);
                std::future::pending::<()>().await;
            }
        }
    }

    /// Has the program started.
    pub(super) async fn start(&self) -> io::Result<Run> {
        let gone = || io::Error::other("the process that starts it is gone; restart websockify");
        let (mut line, theirs) = UnixStream::pair()?;
        handing::give(&*self.orders, starter::START, &[theirs.as_fd()]).map_err(|_| gone())?;
        drop(theirs);
        let Some((word, files)) = handing::take(&line).await? else {
            return Err(gone());
        };
        if word != starter::STARTED {
            let mut why = String::new();
            line.read_to_string(&mut why).await?;
            return Err(io::Error::other(why));
        }
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(files)
            .map_err(|_| io::Error::from(rustix::io::Errno::MFILE))?;
        Ok(Run {
            stdin: Sender::from_owned_fd(stdin)?,
            stdout: Receiver::from_owned_fd(stdout)?,
            stderr: Receiver::from_owned_fd(stderr)?,
            lead: Lead {
                line,
                status: Vec::new(),
            },
        })
    }
}

impl Lead {
    /// Returns when the program has ended and was reaped, by itself or because it was told.
    pub(super) async fn ended(&mut self) {
        let mut part = [0; 64];
        while let Ok(count @ 1..) = self.line.read(&mut part).await {
            self.status.extend_from_slice(&part[..count]);
        }
    }

    /// Has it and what it has started killed. Returns when it is gone, with how it ended.
    pub(super) async fn kill(mut self) -> String {
        // If it is gone already, that was said.
        let _ = self.line.shutdown().await;
        self.ended().await;
        String::from_utf8_lossy(&self.status).into_owned()
    }
}
