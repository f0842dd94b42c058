//! Addresses of names, from the system's resolver.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use super::known_addresses;
use crate::limits;

/// What a resolver has said, if it has.
type Answer = Option<Result<Vec<SocketAddr>, Arc<io::Error>>>;

/// The look-ups that are under way. All who want the same host wait for the same one, whatever the port:
/// a name whose server does not answer must not take the turns of all others.
type UnderWay = HashMap<String, Arc<watch::Sender<Answer>>>;

/// The addresses of a host, with the port.
///
/// # Errors
/// The resolver's.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // A resolver would cost a thread's time for each session.
    if let Some(known) = known_addresses(host) {
        let known = known.iter().map(|ip| SocketAddr::new(*ip, port));
        return Ok(known.collect());
    }
    let name = host.to_ascii_lowercase();
    let mut answer = {
        let mut under_way = under_way();
        if let Some(asked) = under_way.get(&name) {
            asked.subscribe()
        } else {
            let (tell, answer) = watch::channel(None);
            let tell = Arc::new(tell);
            under_way.insert(name.clone(), tell.clone());
            tokio::spawn(look_up(name, tell));
            answer
        }
    };
    let told = answer.wait_for(Option::is_some).await;
    let told = told.map_err(io::Error::other)?.clone();
    let mut found = told
        .unwrap_or_else(|| Ok(Vec::new()))
        .map_err(|error| io::Error::new(error.kind(), error))?;
    for address in &mut found {
        address.set_port(port);
    }
    Ok(found)
}

/// Asks, and tells all who wait.
async fn look_up(name: String, tell: Arc<watch::Sender<Answer>>) {
    static TURNS: Semaphore = Semaphore::const_new(limits::LOOKUPS);
    let turn = loop {
        tokio::select! {
            turn = TURNS.acquire() => break turn,
            () = tell.closed() => {
                let mut under_way = under_way();
                // Somebody may have come in between.
                if tell.is_closed() {
                    under_way.remove(&name);
                    return;
                }
            }
        }
    };
    let asked = name.clone();
    let found = spawn_blocking(move || {
        let found = ask(&asked);
        // Not before: a look-up cannot be called off, and lasts longer than who waits for it.
        drop(turn);
        found
    });
    let found = found.await.unwrap_or_else(|error| Err(error.into()));
    // First, so that who comes from now on asks anew.
    under_way().remove(&name);
    tell.send_replace(Some(found.map_err(Arc::new)));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a target's names are resolved here and nowhere else"
)]
fn ask(name: &str) -> io::Result<Vec<SocketAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.take(limits::CONNECT_ADDRESSES).collect())
}

fn under_way() -> MutexGuard<'static, UnderWay> {
    static UNDER_WAY: LazyLock<Mutex<UnderWay>> = LazyLock::new(Mutex::default);
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}
