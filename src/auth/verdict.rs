//! What the door says to a visitor, and to the administrator.

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::listener::Peer;
use crate::log::Event;
use crate::log::escape::Escaped;
use crate::refusal::Refusal;

/// A visitor is let in.
#[derive(Debug, Default)]
pub struct Admitted {
    /// Who it is, if a plugin knows.
    pub identity: Option<Box<str>>,
    /// A cookie to set.
    pub cookie: Option<HeaderValue>,
}

/// A visitor is not let in.
#[derive(Debug)]
pub(super) struct Denied {
    /// For the client.
    answer: Refusal,
    /// For the administrator.
    reason: &'static str,
    /// What the client or a helper said: a name for it, and the text.
    about: Vec<(&'static str, String)>,
    /// Whether it may have been one guess of many.
    guess: bool,
}

impl Denied {
    pub(super) fn forbidden(reason: &'static str, text: &'static str) -> Self {
        Self::new(reason, Refusal::new(StatusCode::FORBIDDEN, text))
    }

    pub(super) fn new(reason: &'static str, answer: Refusal) -> Self {
        Self {
            answer,
            reason,
            about: Vec::new(),
            guess: false,
        }
    }

    /// Asks for user and password.
    pub(super) fn challenge(reason: &'static str) -> Self {
        let answer = Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized").with(
            WWW_AUTHENTICATE,
            "Basic realm=\"Websockify\", charset=\"UTF-8\"",
        );
        Self::new(reason, answer)
    }

    /// Nothing is wrong with the client.
    pub(super) fn busy() -> Self {
        let text = "Too many log-ins at once";
        let answer = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER, "5");
        Self::new("too many log-ins at once", answer)
    }

    /// The same, where it may last.
    pub(super) fn unavailable(reason: &'static str) -> Self {
        let text = "Log-in is not available at the moment";
        let answer = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER, "10");
        Self::new(reason, answer)
    }

    pub(super) fn about(mut self, name: &'static str, text: String) -> Self {
        self.about.push((name, text));
        self
    }

    /// It may have been one guess of many, in the name of the `user` that it is about, if any.
    pub(super) fn guessed(self) -> Self {
        Self {
            guess: true,
            ..self
        }
    }

    /// In whose name it was, if it was a guess: nobody's is empty.
    pub(super) fn guess(&self) -> Option<&str> {
        let user = self.about.iter().find(|(name, _)| *name == "user");
        self.guess
            .then(|| user.map_or("", |(_, user)| user.as_str()))
    }

    /// The answer for the client.
    pub(super) fn answer(self) -> Refusal {
        self.answer
    }

    /// The line that examples/fail2ban reads: who changes it changes that, too.
    pub(super) fn log(&self, peer: &Peer, plugin: &str) {
        let reason = self.reason;
        let about = self.about.iter().map(|(name, text)| {
            let text = Escaped(text);
            format!(" {name}=\"{text}\"")
        });
        let about: String = about.collect();
        // Every browser asks without credentials first.
        let level = if self.answer.status == StatusCode::UNAUTHORIZED && !self.guess {
            log::Level::Info
        } else {
            log::Level::Warn
        };
        log::log!(
            level, event = Event::AuthFailed, client:% = peer, plugin, reason;
            "auth failed client={peer} plugin={plugin} reason=\"{reason}\"{about}"
        );
    }
}
