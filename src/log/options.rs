//! Where the log goes beside standard error.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::file;
use super::syslog::{self, Server};
use crate::cli;
use crate::error::Failure;

/// The local log server's socket, where there is one (syslog(3)).
const LOCAL: &str = "/dev/log";

/// What the options say of the log.
#[derive(Debug)]
pub struct Options {
    pub(super) verbose: bool,
    pub(super) file: Option<PathBuf>,
    pub(super) syslog: Option<syslog::Options>,
    /// Nobody has named the server; where standard error is the journal, it is the same.
    pub(super) unasked: bool,
    /// A daemon has no standard error, so there is nothing that the log could go to.
    pub(super) nowhere: bool,
}

impl Options {
    /// Judges them. A daemon that is told nothing else logs to the local server.
    ///
    /// # Errors
    /// [`Failure::Usage`] in websockify's words where it has some.
    pub fn new(options: &cli::Options) -> Result<Self, Failure> {
        let daemon = options.daemon;
        let (mut legacy, mut unasked) = (options.legacy_syslog, false);
        let server = match &options.syslog {
            Some(text) => Some(Server::parse(text).map_err(Failure::usage)?),
            None if legacy => {
                return Err(Failure::usage(
                    "You must use --syslog to use --legacy-syslog",
                ));
            }
            None if daemon && options.log_file.is_none() && Path::new(LOCAL).exists() => {
                // As syslog(3) writes: it may be journald, which reads nothing else.
                (legacy, unasked) = (true, true);
                Some(Server::Local(LOCAL.into()))
            }
            None => None,
        };
        Ok(Self {
            verbose: options.verbose,
            unasked,
            nowhere: daemon && options.log_file.is_none() && server.is_none(),
            file: options.log_file.clone(),
            syslog: server.map(|server| syslog::Options {
                server,
                legacy,
                daemon,
            }),
        })
    }

    /// Whether a name is looked up on the way to the log server, each time that the way is lost.
    #[must_use]
    pub fn looks_up_a_name(&self) -> bool {
        let server = self.syslog.as_ref().map(|it| &it.server);
        matches!(server, Some(Server::Udp(host, _)) if host.parse::<IpAddr>().is_err())
    }

    /// For a run that serves nobody, and may be another user's: looks whether the log could go
    /// where it is to go, and leaves standard error.
    ///
    /// # Errors
    /// A --log-file that could not be written.
    pub fn judged(self) -> Result<Self, Failure> {
        self.file.as_deref().map(file::judge).transpose()?;
        Ok(Self {
            verbose: self.verbose,
            file: None,
            syslog: None,
            unasked: false,
            nowhere: false,
        })
    }
}
