//! What a crowd needed goes back to the system when it has left.
//!
//! The C library keeps what was freed, but for a piece at the end of its heap, and some small thing of
//! a session that goes on is always behind it: after 10,000 sessions 26 MiB stayed for good, of which
//! malloc_trim(3) gives all back but one. Fewer arenas or a lower threshold changed nothing.

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::census::Counts;
use crate::limits;

/// Gives memory back each time that enough connections have gone. Returns when nobody counts any more.
pub(super) async fn keep(mut counts: watch::Receiver<Counts>) {
    // What was counted when it last did, and the most that was seen since.
    let (mut stayed, mut served, mut most) = (0, 0, 0);
    while counts.changed().await.is_ok() {
        sleep(limits::MEMORY_REST).await;
        let (now, begun) = {
            let counts = counts.borrow_and_update();
            (u64::from(counts.connections), counts.served)
        };
        // A session may have come and gone unseen; a page has no count.
        most = most.max(now);
        let gone = most.max(stayed + begun - served).saturating_sub(now);
        if gone >= limits::MEMORY_SESSIONS {
            // It takes milliseconds where there is much to give.
            let _ = spawn_blocking(give_back).await;
            log::debug!("{gone} connections have gone: memory given back");
            (stayed, served, most) = (now, begun, now);
        }
    }
}

#[cfg(target_env = "gnu")]
fn give_back() {
    #[expect(unsafe_code, reason = "no crate has malloc_trim alone")]
    // SAFETY: malloc_trim(3) may be called by any thread at any time, and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such thing.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}
