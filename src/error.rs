//! What went wrong before anybody was served, for an administrator, and the exit status it gives.

use std::process::ExitCode;

/// Why the program ends without having served. The text is all that is printed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or an environment variable is wrong: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// What was asked for cannot be had: exit status 1.
    #[error("{0}")]
    Start(String),
    /// The sandbox was to be enforced and cannot be: exit status 77, as sysexits(3) has it for a
    /// permission.
    #[error("{0}")]
    Sandbox(String),
}

impl Failure {
    /// A wrong option, as a sentence.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// A failed start, as a sentence that says what to do.
    pub fn start(text: impl Into<String>) -> Self {
        Self::Start(text.into())
    }

    /// The exit status; the help and the man page list them.
    #[must_use]
    pub fn status(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Start(_) => ExitCode::FAILURE,
            Self::Sandbox(_) => ExitCode::from(77),
        }
    }
}
