//! Flash players, which ask before they connect what pages may do so: web-socket-js made WebSockets
//! of them where a browser had none. Only --legacy-protocols answers.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits;
use crate::sniff::{Speaks, sniff};
use crate::stream::Socket;

/// A player adds a zero byte.
const REQUEST: &[u8] = b"<policy-file-request/>";

/// Everybody, everywhere, as websockify said it; a player reads up to the zero byte.
const POLICY: &[u8] =
    b"<cross-domain-policy><allow-access-from domain=\"*\" to-ports=\"*\" /></cross-domain-policy>\n\0";

/// Gives the client back unless it is a Flash player, which is answered, or leaves, or is silent.
pub async fn serve(mut socket: Socket) -> Option<Socket> {
    let first = timeout(limits::REQUEST_HEAD_TIME, socket.peek_first()).await;
    if sniff(first.ok()?.ok()??) != Speaks::Policy {
        return Some(socket);
    }
    let mut request = [0; REQUEST.len()];
    let read = timeout(limits::REQUEST_HEAD_TIME, socket.read_exact(&mut request)).await;
    read.ok()?.ok()?;
    if request == REQUEST {
        let _ = timeout(limits::REFUSAL_TIME, answer(&mut socket)).await;
    }
    None
}

/// Reads the zero byte, too, so that closing does not take the answer back.
async fn answer(socket: &mut Socket) -> io::Result<()> {
    socket.write_all(POLICY).await?;
    socket.shutdown().await?;
    let mut rest = [0; 64];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}
