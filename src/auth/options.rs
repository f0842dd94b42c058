//! `--auth-plugin`, `--auth-source` and `--web-auth`: which plugins there are, and what they ask.

use std::path::PathBuf;

use super::client_cert::Listed;
use super::origin::Origins;
use super::users::Source;
use crate::cli;
use crate::error::Failure;
use crate::helper::Program;

/// What the options say about who may come in.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// All of them must agree, in this order.
    pub plugins: Vec<Plugin>,
    /// Whether pages are asked about, too.
    pub pages: bool,
}

/// A plugin and what it goes by.
#[derive(Clone, Debug)]
pub enum Plugin {
    /// User and password.
    BasicHttpAuth(Source),
    /// The page that a WebSocket is opened from.
    ExpectOrigin(Origins),
    /// The client's certificate.
    ClientCertCnAuth(Listed),
    /// Whatever a program says.
    Exec(Program),
}

/// Every class there is, for whoever typed another.
const CLASSES: &str = "BasicHTTPAuth, ExpectOrigin, ClientCertCNAuth and Exec";

impl Plugin {
    fn parse(class: &str, source: &str) -> Result<Self, String> {
        let name = class
            .strip_prefix("websockify.auth_plugins.")
            .unwrap_or(class);
        match name {
            "BasicHTTPAuth" => Source::parse(source).map(Self::BasicHttpAuth),
            "ExpectOrigin" => Origins::parse(source).map(Self::ExpectOrigin),
            "ClientCertCNAuth" => Listed::parse(source).map(Self::ClientCertCnAuth),
            "Exec" => Program::parse(source, "--auth-source").map(Self::Exec),
            _ => Err(format!(
                "--auth-plugin: there is no '{class}'; there are {CLASSES}; for a Python class \
                 of your own, see websockify-helper(7)"
            )),
        }
    }
}

impl Options {
    /// Every file that they name.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.plugins.iter().filter_map(|plugin| match plugin {
            Plugin::BasicHttpAuth(source) => source.file(),
            Plugin::ExpectOrigin(_) | Plugin::ClientCertCnAuth(_) | Plugin::Exec(_) => None,
        });
        files.collect()
    }

    /// Judges the options.
    ///
    /// # Errors
    /// [`Failure::Usage`], in websockify's words where it has some.
    pub fn new(options: &cli::Options) -> Result<Self, Failure> {
        let (classes, sources) = (&options.auth_plugin, &options.auth_source);
        if classes.is_empty() {
            let asking = [
                (!sources.is_empty(), "--auth-source"),
                (options.web_auth, "--web-auth"),
            ];
            return match asking.iter().find(|(asked, _)| *asked) {
                Some((_, who)) => Err(Failure::usage(format!(
                    "You must use --auth-plugin to use {who}"
                ))),
                None => Ok(Self::default()),
            };
        }
        if options.web_auth && options.web.is_none() {
            return Err(Failure::usage("You must use --web to use --web-auth"));
        }
        if sources.len() > classes.len() {
            return Err(Failure::usage(
                "there are more of --auth-source than of --auth-plugin",
            ));
        }
        let sources = sources.iter().map(String::as_str);
        let plugins: Vec<Plugin> = classes
            .iter()
            .zip(sources.chain(std::iter::repeat("")))
            .map(|(class, source)| Plugin::parse(class, source))
            .collect::<Result<_, _>>()
            .map_err(Failure::usage)?;
        let certificates = |it: &Plugin| matches!(it, Plugin::ClientCertCnAuth(_));
        if plugins.iter().any(certificates) && !options.verify_client {
            return Err(Failure::usage(
                "ClientCertCNAuth needs --verify-client: nobody shows a certificate otherwise",
            ));
        }
        let origins = |it: &Plugin| matches!(it, Plugin::ExpectOrigin(_));
        if options.web_auth && plugins.iter().all(origins) {
            return Err(Failure::usage(
                "ExpectOrigin alone cannot be used with --web-auth: \
                 a browser does not say where a user who opens a page comes from",
            ));
        }
        Ok(Self {
            plugins,
            pages: options.web_auth,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use crate::cli::{self, Asked};

    fn options(words: &[&str]) -> Result<Options, String> {
        let words = ["websockify", "6080", "h:1"].iter().chain(words);
        match cli::parse(words.map(Into::into)) {
            Ok(Asked::Serve(options)) => Options::new(&options).map_err(|it| it.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_meant() {
        const BASIC: &str = "--auth-plugin=BasicHTTPAuth";
        const ORIGIN: &str = "--auth-plugin=websockify.auth_plugins.ExpectOrigin";
        for (words, part) in [
            (
                &["--auth-source=a:b"][..],
                "You must use --auth-plugin to use --auth-source",
            ),
            (
                &["--web-auth", "--web=/"],
                "You must use --auth-plugin to use --web-auth",
            ),
            (
                &[BASIC, "--auth-source=a:b", "--web-auth"],
                "You must use --web to use --web-auth",
            ),
            (&["--auth-plugin=Basic"], "BasicHTTPAuth, ExpectOrigin, Cl"),
            (&["--auth-plugin=my.Own", "--auth-source=x"], "'my.Own'"),
            (&[BASIC], "needs --auth-source=USER:PASSWORD"),
            (&["--auth-plugin=Exec"], "needs --auth-source='PROGRAM"),
            (&[BASIC, "--auth-source=secret"], "needs --auth-source"),
            (&[BASIC, "--auth-source=:secret"], "needs --auth-source"),
            (
                &[BASIC, "--auth-source=a:b", "--auth-source=c:d"],
                "more of",
            ),
            (&[ORIGIN], "needs --auth-source"),
            (&[ORIGIN, "--auth-source=*"], "is not an origin"),
            (
                &[ORIGIN, "--auth-source=https://h", "--web-auth", "--web=/"],
                "ExpectOrigin alone",
            ),
            (
                &["--auth-plugin=ClientCertCNAuth", "--auth-source=jane"],
                "needs --verify-client",
            ),
        ] {
            let error = options(words).unwrap_err();
            assert!(error.contains(part), "{words:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn each_plugin_has_its_source_and_passwords_are_not_shown() {
        let options = options(&[
            "--auth-source=jane:se:cret",
            "--auth-source=https://h",
            "--auth-plugin=BasicHTTPAuth",
            "--auth-plugin=ExpectOrigin",
            "--web-auth",
            "--web=/",
        ]);
        let shown = format!("{:?}", options.unwrap());
        assert!(
            shown.contains("https://h") && !shown.contains("cret"),
            "{shown}"
        );
    }
}
