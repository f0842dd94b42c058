//! `--token-plugin`, `--token-source` and what goes with them: which plugins there are, and what
//! they ask.

use std::path::PathBuf;

use super::asking::From;
use super::table::Layout;
use crate::cli;
use crate::error::Failure;
use crate::helper::Program;
use crate::target::Target;
use crate::target::walls::Rule;

/// What the options say about where sessions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// All of them to one target.
    Target(Target),
    /// Each where its token says.
    Tokens(Box<Tokens>),
}

/// How targets are found by tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Who knows them.
    pub plugin: Plugin,
    /// Where in a request they are.
    pub from: From,
    /// Whether a client without a target is told so by a close frame.
    pub closes: bool,
    /// Where targets may be; anywhere if there are none.
    pub allowed: Vec<Rule>,
}

/// A plugin and what it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// Tokens in files that are kept in memory.
    Table(PathBuf, Layout),
    /// Sockets in a directory, each named like its token.
    SocketDirectory(PathBuf),
    /// Wherever a program says.
    Exec(Program),
}

/// A value of --token-errors.
const CLOSE: &str = "close";

/// Every class there is, for whoever typed another.
const CLASSES: &str =
    "TokenFile, ReadOnlyTokenFile, TokenFileName, UnixDomainSocketDirectory and Exec";

impl Plugin {
    fn parse(class: &str, source: Option<&str>) -> Result<Self, String> {
        let name = class
            .strip_prefix("websockify.token_plugins.")
            .unwrap_or(class);
        let needs = |what| {
            source
                .filter(|source| !source.is_empty())
                .ok_or_else(|| format!("{name} needs --token-source={what}"))
        };
        match name {
            "TokenFile" | "ReadOnlyTokenFile" => Ok(Self::Table(
                needs("FILE, or =DIRECTORY")?.into(),
                Layout::Lines,
            )),
            "TokenFileName" => Ok(Self::Table(needs("DIRECTORY")?.into(), Layout::FileNames)),
            "UnixDomainSocketDirectory" => Ok(Self::SocketDirectory(needs("DIRECTORY")?.into())),
            "Exec" => Program::parse(needs("PROGRAM")?, "--token-source").map(Self::Exec),
            _ => Err(format!(
                "--token-plugin: there is no '{class}'; there are {CLASSES}; for a Python class \
                 of your own, see websockify-helper(7)"
            )),
        }
    }

    /// Files that do not tell of their changes.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Table(..) | Self::SocketDirectory(_) | Self::Exec(_) => Vec::new(),
        }
    }
}

impl Options {
    /// Where targets may be; anywhere if there are none.
    #[must_use]
    pub fn allowed(&self) -> Vec<Rule> {
        match self {
            Self::Target(_) => Vec::new(),
            Self::Tokens(tokens) => tokens.allowed.clone(),
        }
    }

    /// The one target of all sessions.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Target(target) => Some(target),
            Self::Tokens(_) => None,
        }
    }

    /// Every file that they name.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Target(_) => Vec::new(),
            Self::Tokens(tokens) => tokens.plugin.files(),
        }
    }
}

impl Tokens {
    /// Judges the options; `None` where targets are not found by tokens.
    ///
    /// # Errors
    /// [`Failure::Usage`], in websockify's words where it has some.
    pub fn new(options: &cli::Options) -> Result<Option<Self>, Failure> {
        let (class, source) = match (&options.target_config, &options.token_plugin) {
            (Some(file), _) => ("TokenFile", Some(file.as_str())),
            (None, Some(class)) => (class.as_str(), options.token_source.as_deref()),
            (None, None) => {
                let asking = [
                    (options.token_source.is_some(), "--token-source"),
                    (options.host_token, "--host-token"),
                    (options.token_from.is_some(), "--token-from"),
                    (options.token_errors == CLOSE, "--token-errors"),
                    (!options.allow_target.is_empty(), "--allow-target"),
                ];
                return match asking.iter().find(|(asked, _)| *asked) {
                    Some((_, who)) => Err(Failure::usage(format!(
                        "You must use --token-plugin to use {who}"
                    ))),
                    None => Ok(None),
                };
            }
        };
        let from = match (&options.token_from, options.host_token) {
            (Some(_), true) => {
                return Err(Failure::usage(
                    "--host-token and --token-from exclude each other",
                ));
            }
            (Some(text), false) => From::parse(text).map_err(Failure::usage)?,
            (None, true) => From::Host,
            (None, false) => From::Query,
        };
        let plugin = Plugin::parse(class, source).map_err(Failure::usage)?;
        let rules = options.allow_target.iter().map(|rule| Rule::parse(rule));
        Ok(Some(Self {
            plugin,
            from,
            closes: options.token_errors == CLOSE,
            allowed: rules.collect::<Result<_, _>>().map_err(Failure::usage)?,
        }))
    }
}
