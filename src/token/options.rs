//! `--token-plugin`, `--token-source` and what goes with them: which plugins there are, and what
//! they ask.

use std::path::PathBuf;

#[cfg(feature = "redis")]
use super::RedisSource;
use super::asking::From;
use super::table::Layout;
use super::{Answer, JwtOptions, Template};
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
    /// An HTTP server.
    Http(Template, Answer),
    /// The tokens themselves.
    Jwt(JwtOptions),
    /// A Redis server.
    #[cfg(feature = "redis")]
    Redis(Box<RedisSource>),
}

/// A value of --token-errors.
const CLOSE: &str = "close";

/// Every class there is, for whoever typed another.
const CLASSES: &str = "TokenFile, ReadOnlyTokenFile, TokenFileName, UnixDomainSocketDirectory, \
    BaseTokenAPI, JSONTokenApi, JWTTokenApi, TokenRedis and Exec";

impl Plugin {
    fn parse(class: &str, source: Option<&str>, options: &cli::Options) -> Result<Self, String> {
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
            "BaseTokenAPI" => Ok(Self::Http(Template::parse(needs("URL")?)?, Answer::Text)),
            "JSONTokenApi" => Ok(Self::Http(Template::parse(needs("URL")?)?, Answer::Json)),
            "JWTTokenApi" => Ok(Self::Jwt(JwtOptions {
                key: needs("KEYFILE")?.into(),
                issuer: options.token_issuer.clone(),
                audience: options.token_audience.clone(),
                expiry: options.token_expiry,
            })),
            #[cfg(feature = "redis")]
            "TokenRedis" => {
                let source = RedisSource::parse(needs("HOST, or =URL")?)?;
                Ok(Self::Redis(Box::new(source)))
            }
            #[cfg(not(feature = "redis"))]
            "TokenRedis" => Err("TokenRedis is not in this build: \
                build it again with cargo's feature 'redis'"
                .into()),
            _ => Err(format!(
                "--token-plugin: there is no '{class}'; there are {CLASSES}; for a Python class \
                 of your own, see websockify-helper(7)"
            )),
        }
    }

    /// Files that do not tell of their changes.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Jwt(options) => vec![options.key.clone()],
            #[cfg(feature = "redis")]
            Self::Redis(source) => source.files(),
            Self::Table(..) | Self::SocketDirectory(_) | Self::Http(..) | Self::Exec(_) => {
                Vec::new()
            }
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
                let mut asking = asking.into_iter().chain(about_jwts(options));
                return match asking.find(|(asked, _)| *asked) {
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
        let plugin = Plugin::parse(class, source, options).map_err(Failure::usage)?;
        if !matches!(plugin, Plugin::Jwt(_)) {
            if let Some((_, who)) = about_jwts(options).iter().find(|(asked, _)| *asked) {
                return Err(Failure::usage(format!("{who} is for JWTTokenApi only")));
            }
        }
        let rules = options.allow_target.iter().map(|rule| Rule::parse(rule));
        Ok(Some(Self {
            plugin,
            from,
            closes: options.token_errors == CLOSE,
            allowed: rules.collect::<Result<_, _>>().map_err(Failure::usage)?,
        }))
    }
}

/// Options that mean nothing to other plugins.
fn about_jwts(options: &cli::Options) -> [(bool, &'static str); 3] {
    [
        (options.token_issuer.is_some(), "--token-issuer"),
        (options.token_audience.is_some(), "--token-audience"),
        (options.token_expiry, "--token-expiry"),
    ]
}

#[cfg(test)]
mod tests {
    use super::Tokens;
    use crate::cli::{self, Asked};

    fn fault(words: &[&str]) -> String {
        let words = ["websockify", "6080"].iter().chain(words);
        match cli::parse(words.map(Into::into)) {
            Ok(Asked::Serve(options)) => Tokens::new(&options).unwrap_err().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_meant() {
        const JWT: &str = "--token-plugin=JWTTokenApi";
        for (words, part) in [
            (&[JWT][..], "JWTTokenApi needs --token-source=KEYFILE"),
            (
                &["--token-issuer=me"],
                "You must use --token-plugin to use --token-issuer",
            ),
            (
                &["--token-expiry"],
                "You must use --token-plugin to use --token-expiry",
            ),
            (
                &[
                    "--token-plugin=TokenFile",
                    "--token-source=f",
                    "--token-audience=me",
                ],
                "--token-audience is for JWTTokenApi only",
            ),
            (
                &["--token-plugin=Redis"],
                "there is no 'Redis'; there are TokenFile,",
            ),
        ] {
            let error = fault(words);
            assert!(error.contains(part), "{error}");
        }
    }

    #[cfg(not(feature = "redis"))]
    #[test]
    fn a_build_without_redis_says_so() {
        let error = fault(&["--token-plugin=TokenRedis", "--token-source=h"]);
        assert!(error.contains("TokenRedis is not in this build"), "{error}");
    }
}
