//! What the door says to a visitor, and to the administrator.

use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::listener::Peer;
use crate::log::escape::Escaped;

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
pub struct Denied {
    /// The status of the answer.
    pub status: StatusCode,
    /// Its body.
    pub text: &'static str,
    /// A header that the status calls for.
    pub header: Option<(&'static str, &'static str)>,
    /// For the administrator.
    reason: &'static str,
    /// What the client said: a name for it, and the text.
    about: Option<(&'static str, String)>,
    /// Whether it may have been one guess of many.
    guess: bool,
}

impl Denied {
    pub(super) fn forbidden(reason: &'static str, text: &'static str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            text,
            header: None,
            reason,
            about: None,
            guess: false,
        }
    }

    /// Asks for user and password.
    pub(super) fn challenge(reason: &'static str) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            header: Some((
                "www-authenticate",
                "Basic realm=\"Websockify\", charset=\"UTF-8\"",
            )),
            ..Self::forbidden(reason, "Unauthorized")
        }
    }

    /// Nothing is wrong with the client.
    pub(super) fn busy() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            header: Some(("retry-after", "5")),
            ..Self::forbidden("too many log-ins at once", "Too many log-ins at once")
        }
    }

    pub(super) fn about(self, name: &'static str, text: String) -> Self {
        Self {
            about: Some((name, text)),
            ..self
        }
    }

    pub(super) fn guessed(self) -> Self {
        Self {
            guess: true,
            ..self
        }
    }

    pub(super) fn is_guess(&self) -> bool {
        self.guess
    }

    /// The line that examples/fail2ban reads: who changes it changes that, too.
    pub(super) fn log(&self, peer: &Peer, plugin: &str) {
        let reason = self.reason;
        let about = self.about.as_ref().map(|(name, text)| {
            let text = Escaped(text);
            format!(" {name}=\"{text}\"")
        });
        let about = about.unwrap_or_default();
        // Every browser asks without credentials first.
        let level = if self.status == StatusCode::UNAUTHORIZED && !self.guess {
            log::Level::Info
        } else {
            log::Level::Warn
        };
        log::log!(
            level,
            "auth failed client={peer} plugin={plugin} reason=\"{reason}\"{about}"
        );
    }
}
