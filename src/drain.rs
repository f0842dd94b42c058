//! Word that the server is ending, to everything that can end early.

use tokio::sync::watch;

/// Gives the word; dropping it ends everything, for there is nobody left to serve then.
#[derive(Debug)]
pub struct Drainer(watch::Sender<Word>);

/// Hears the word.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<Word>);

/// What is to end. Later words come after earlier ones, if those come at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Nothing.
    Stay,
    /// Whatever our successor cannot go on with.
    Part,
    /// All that is left: it goes on with that.
    HandOver,
    /// Everything: there is no successor.
    End,
}

/// The two ends.
#[must_use]
pub fn drain() -> (Drainer, Drain) {
    let (sender, receiver) = watch::channel(Word::Stay);
    (Drainer(sender), Drain(receiver))
}

impl Drainer {
    /// Gives a word.
    pub fn tell(&self, word: Word) {
        self.0.send_replace(word);
    }
}

impl Drain {
    /// Returns once it is time for whoever cannot be handed over.
    pub async fn told(&mut self) {
        self.reaches(Word::Part).await;
    }

    /// Returns once a word as late as this was given, with the latest.
    pub async fn reaches(&mut self, word: Word) -> Word {
        let told = self.0.wait_for(|told| *told >= word).await;
        told.map_or(Word::End, |told| *told)
    }

    /// Whether it is time for those that are handed over.
    #[must_use]
    pub fn hands_over(&self) -> bool {
        *self.0.borrow() == Word::HandOver
    }

    /// Whether somebody comes after us.
    #[must_use]
    pub fn has_successor(&self) -> bool {
        (Word::Part..=Word::HandOver).contains(&*self.0.borrow())
    }
}
