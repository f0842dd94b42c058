//! `--demo`: a page and a target that need no file and no other program.

use tokio::io::{copy, split};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::Listen;
use crate::error::Failure;
use crate::limits;
use crate::listener::{self, Door, Listener};
use crate::stream::Stream;
use crate::target::Target;

/// The page at `/`.
pub const PAGE: &str = include_str!("page.html");

/// Starts a TCP service on a free loopback port that sends everything back.
///
/// # Errors
/// [`Failure::Start`] when no port can be had.
pub fn start_target() -> Result<Target, Failure> {
    let host = "127.0.0.1".to_owned();
    let listen = Listen::Tcp {
        host: host.clone(),
        port: 0,
        prefer_ipv6: false,
    };
    let failed = |error| Failure::start(format!("cannot start the demo's target: {error}"));
    let mut target = None;
    for door in listener::open(listen)? {
        if let Door::Listening(socket, bound) = door {
            let address = socket.local_addr().map_err(failed)?.as_socket();
            let port = address.map_or(0, |address| address.port());
            target = Some(Target::Tcp {
                host: host.clone(),
                port,
            });
            tokio::spawn(echo(Listener::new(socket, bound).map_err(failed)?));
        }
    }
    target.ok_or_else(|| Failure::start("cannot start the demo's target"))
}

async fn echo(listener: Listener) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => {
                    let stream = Stream::Plain(accepted.socket);
                    // Our own bridge reads it, and pauses for as long as its page does.
                    stream.forget_answer_deadline();
                    clients.spawn(async move {
                        let (mut from, mut to) = split(stream);
                        copy(&mut from, &mut to).await
                    });
                }
                Err(error) => {
                    log::debug!("the demo's target cannot accept: {error}");
                    sleep(limits::ACCEPT_COOLDOWN).await;
                }
            },
            Some(_) = clients.join_next() => {}
        }
    }
}
