//! Word that the server is ending, to everything that can end early.

use tokio::sync::watch;

/// Gives the word; dropping it gives it as well, for there is nobody left to serve then.
#[derive(Debug)]
pub struct Drainer(watch::Sender<bool>);

/// Hears the word.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

/// The two ends.
#[must_use]
pub fn drain() -> (Drainer, Drain) {
    let (sender, receiver) = watch::channel(false);
    (Drainer(sender), Drain(receiver))
}

impl Drainer {
    /// Everybody is to end.
    pub fn tell(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Returns once the word was given.
    pub async fn told(&mut self) {
        let _ = self.0.wait_for(|told| *told).await;
    }
}
