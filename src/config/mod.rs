//! What the options mean: one [`Config`] that cannot be wrong.

mod proxy_options;
mod tls_options;
mod wrap_options;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::auth;
use crate::cli::{Options, decimal};
use crate::error::Failure;
use crate::http::frames::Frames;
use crate::limits;
use crate::proxies;
use crate::proxy_protocol::ProxyVersion;
use crate::sandbox;
use crate::systemd::inherited::Inherited;
use crate::target::sources::Sources;
use crate::target::{Target, split_host_port};
use crate::tls::{self, client};
use crate::token::{self, Tokens};
use crate::wrap::{self, Program, elsewhere};
use proxy_options::{announced, trusted};
use tls_options::{target_tls_options, tls_options};
use wrap_options::{kept_elsewhere, wanted_port, wrap_options};

/// Everything the server needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where clients come in.
    pub listen: Listen,
    /// The files to serve.
    pub web: Option<Web>,
    /// TLS towards clients.
    pub tls: Option<tls::Options>,
    /// TLS towards the target.
    pub target_tls: Option<client::Options>,
    /// Who may come in.
    pub auth: auth::Options,
    /// See [`Options::log_file`].
    pub log_file: Option<PathBuf>,
    /// See [`crate::log::Options::looks_up_a_name`].
    pub log_by_name: bool,
    /// What is given up before they come.
    pub sandbox: sandbox::Wanted,
    /// See [`Options::record`].
    pub record: Option<PathBuf>,
    /// Where they go; the demo and a wrapped program bring their own target.
    pub to: Option<token::Options>,
    /// The program whose port is the target, if we start it.
    pub wrap: Option<wrap::Options>,
    /// Where the administrator asks.
    pub control: Option<PathBuf>,
    /// What they are given.
    pub service: Service,
    /// See [`Options::pid_file`].
    pub pid_file: Option<PathBuf>,
}

/// What clients are given, and when that ends.
#[derive(Debug)]
pub struct Service {
    /// See [`Options::ssl_target`].
    pub ssl_target: bool,
    /// See [`Options::bind_source`].
    pub sources: Sources,
    /// See [`Options::subprotocol`].
    pub subprotocols: Vec<String>,
    /// See [`Options::legacy_protocols`].
    pub legacy_protocols: bool,
    /// See [`Options::health_path`].
    pub health_path: Option<String>,
    /// See [`Options::metrics_path`].
    pub metrics_path: Option<String>,
    /// See [`Options::heartbeat`].
    pub heartbeat: Option<Duration>,
    /// See [`Options::run_once`].
    pub run_once: bool,
    /// See [`Options::timeout`].
    pub timeout: Option<Duration>,
    /// See [`Options::idle_timeout`].
    pub idle_timeout: Option<Duration>,
    /// See [`Options::drain_timeout`].
    pub drain_timeout: Duration,
    /// See [`Options::traffic`].
    pub traffic: bool,
    /// See [`Options::max_connections`].
    pub max_connections: Option<u32>,
    /// See [`Options::max_connections_per_address`].
    pub per_address: PerAddress,
    /// Who may speak for clients.
    pub proxies: proxies::Options,
    /// See [`Options::proxy_protocol`].
    pub proxy_protocol: Option<ProxyVersion>,
    /// See [`Options::frame_ancestors`].
    pub frames: Option<Frames>,
    /// See [`Options::wrap`].
    pub program: Option<Program>,
}

/// Where clients come in.
#[derive(Debug)]
pub enum Listen {
    /// A port of ours, on all addresses of the host, or on all there are.
    Tcp {
        /// Empty for every address.
        host: String,
        /// 0 for any free one.
        port: u16,
        /// See [`Options::prefer_ipv6`].
        prefer_ipv6: bool,
    },
    /// A Unix socket of ours.
    Unix {
        /// Where.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The socket on standard input.
    Inetd,
    /// The service manager's sockets.
    Inherited(Vec<Inherited>),
}

impl Listen {
    /// The service manager's sockets, if it is those.
    #[must_use]
    pub fn inherited(&self) -> &[Inherited] {
        match self {
            Self::Inherited(sockets) => sockets,
            _ => &[],
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.is_empty() => write!(f, "port {port}"),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Self::Inetd => f.write_str("standard input"),
            Self::Inherited(_) => f.write_str("inherited sockets"),
        }
    }
}

/// The files to serve.
#[derive(Clone, Debug)]
pub struct Web {
    /// The directory.
    pub root: PathBuf,
    /// Whether a directory without an index page is listed.
    pub listing: bool,
}

/// How many connections one address may have.
#[derive(Clone, Copy, Debug)]
pub struct PerAddress {
    /// The number.
    pub limit: u32,
    /// Whether loopback counts.
    pub loopback: bool,
}

impl Config {
    /// Judges the options; `inherited` are the sockets that were open before us.
    ///
    /// # Errors
    /// [`Failure::Usage`] in websockify's words where it has some.
    pub fn new(mut options: Options, inherited: Vec<Inherited>) -> Result<Self, Failure> {
        let typed = options.typed;
        let wraps = !options.command.is_empty();
        options.demo &= typed.demo || !(typed.target || typed.unix_target || typed.tokens || wraps);
        let brings_its_own = options.demo || wraps;
        let wrap = wrap_options(&options, &inherited)?;
        let wanted = wanted_port(&options, &inherited);
        let (listen, mut to) = where_from_and_to(&options, inherited)?;
        let mut program = None;
        if let Some(command) = options.wrap.as_deref().filter(|_| !wraps) {
            to = Some(kept_elsewhere(&options, wanted?, to)?);
            program = Some(elsewhere::program(command));
        }
        if options.daemon && matches!(listen, Listen::Inetd | Listen::Inherited(_)) {
            return Err(Failure::usage(
                "--daemon: whoever passes us a socket keeps us in the background already",
            ));
        }
        let log_by_name = crate::log::Options::new(&options)?.looks_up_a_name();
        let sources = sources(&options, to.as_ref())?;
        let (proxies, proxy_protocol) = (trusted(&options)?, announced(&options)?);
        let frames = Frames::parse(&options.frame_ancestors).map_err(Failure::usage)?;
        Ok(Self {
            tls: tls_options(&options)?,
            target_tls: target_tls_options(&options, to.as_ref())?,
            auth: auth::Options::new(&options)?,
            record: options.record,
            listen,
            log_file: options.log_file.clone(),
            log_by_name,
            sandbox: match options.sandbox.as_str() {
                "enforce" => sandbox::Wanted::Enforce,
                "off" => sandbox::Wanted::Off,
                _ => sandbox::Wanted::Try,
            },
            pid_file: options.pid_file,
            wrap,
            to: if brings_its_own {
                None
            } else {
                Some(to.ok_or_else(no_target)?)
            },
            web: options.web.map(|root| Web {
                root,
                listing: !options.file_only,
            }),
            control: options.control_socket.or_else(in_runtime_directory),
            service: Service {
                ssl_target: options.ssl_target,
                sources,
                subprotocols: subprotocols(options.subprotocol)?,
                legacy_protocols: options.legacy_protocols,
                health_path: url_path("--health-path", options.health_path)?,
                metrics_path: url_path("--metrics-path", options.metrics_path)?,
                heartbeat: seconds(options.heartbeat),
                run_once: options.run_once,
                timeout: seconds(options.timeout),
                idle_timeout: seconds(options.idle_timeout),
                drain_timeout: Duration::from_secs(options.drain_timeout.into()),
                traffic: options.traffic,
                max_connections: options.max_connections,
                per_address: per_address(options.max_connections_per_address),
                proxies,
                proxy_protocol,
                frames,
                program,
            },
        })
    }
}

/// Finds out where clients come from and go to. What was typed wins over the environment, and the
/// service manager's sockets over a port, so that a command line works with a socket unit as it is.
fn where_from_and_to(
    options: &Options,
    inherited: Vec<Inherited>,
) -> Result<(Listen, Option<token::Options>), Failure> {
    let typed = options.typed;
    let (port, target) = positionals(options, !inherited.is_empty());
    // Of a wrapped program, the port is what it asks for, whatever we listen on.
    let wraps = !options.command.is_empty();
    if port.typed && (typed.inetd || typed.unix_listen) && !wraps
        || target.typed && (typed.unix_target || typed.tokens)
    {
        return Err(Failure::usage("Too many arguments"));
    }
    let port_wins = port.typed && inherited.is_empty();
    let inetd = options.inetd && (typed.inetd || !port_wins && !typed.unix_listen);
    let unix_listen = options
        .unix_listen
        .as_ref()
        .filter(|_| typed.unix_listen || !port_wins && !typed.inetd);
    if inetd && unix_listen.is_some() {
        return Err(Failure::usage(
            "--inetd and --unix-listen exclude each other",
        ));
    }
    let to = if wraps {
        None
    } else {
        where_to(options, &target)?
    };
    let listen = if inetd {
        Listen::Inetd
    } else if let Some(path) = unix_listen {
        Listen::Unix {
            path: path.clone(),
            mode: octal_mode(&options.unix_listen_mode)?,
        }
    } else if !inherited.is_empty() {
        Listen::Inherited(inherited)
    } else if options.demo {
        demo_listener(port.text.unwrap_or("6080"))?
    } else {
        let text = port
            .text
            .ok_or_else(|| Failure::usage("Too few arguments: where to listen?"))?;
        let (host, port) = listen_address(text)?;
        Listen::Tcp {
            host,
            port,
            prefer_ipv6: options.prefer_ipv6,
        }
    };
    Ok((listen, to))
}

/// A positional, or what the environment has in its place.
#[derive(Clone, Copy)]
struct Positional<'o> {
    text: Option<&'o str>,
    typed: bool,
}

/// Tells the two positionals apart. A lone one is where to listen, unless something else says that:
/// then it is the target, unless something else says that as well, and this is but a port.
fn positionals(options: &Options, inherited: bool) -> (Positional<'_>, Positional<'_>) {
    let typed = options.typed;
    let [first, second] = [options.listen.as_deref(), options.target.as_deref()];
    let elsewhere = options.inetd || options.unix_listen.is_some() || inherited;
    let lone = typed.listen && !typed.target;
    let has_target = options.target.is_some()
        || options.unix_target.is_some()
        || options.token_plugin.is_some()
        || options.target_config.is_some();
    let is_port = first.is_some_and(|text| listen_port(text).is_some());
    let is_target = elsewhere
        && options.command.is_empty()
        && !(typed.unix_target || typed.tokens || typed.demo)
        && !(is_port && (has_target || options.demo));
    let positional = |text, typed| Positional { text, typed };
    if lone && is_target {
        (positional(None, false), positional(first, true))
    } else {
        (
            positional(first, typed.listen),
            positional(second, typed.target),
        )
    }
}

fn where_to(options: &Options, target: &Positional<'_>) -> Result<Option<token::Options>, Failure> {
    let typed = options.typed;
    let by_tokens = Tokens::new(options)?
        .filter(|_| typed.tokens || !(target.typed || typed.unix_target || typed.demo));
    let text = target
        .text
        .filter(|_| target.typed || !typed.unix_target && !typed.tokens && !typed.demo);
    let path = options
        .unix_target
        .as_ref()
        .filter(|_| typed.unix_target || !target.typed && !typed.tokens && !typed.demo);
    let target = match (path, text) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "WEBSOCKIFY_TARGET and WEBSOCKIFY_UNIX_TARGET exclude each other",
            ));
        }
        (Some(path), None) => Some(Target::Unix(path.clone())),
        (None, Some(text)) => Some(Target::parse(text).map_err(Failure::usage)?),
        (None, None) => None,
    };
    if options.demo && (target.is_some() || by_tokens.is_some()) {
        return Err(Failure::usage("--demo brings its own target"));
    }
    match (target, by_tokens) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "--token-plugin takes the place of a target: give one of the two",
        )),
        (target, by_tokens) => Ok(by_tokens
            .map(|tokens| token::Options::Tokens(Box::new(tokens)))
            .or(target.map(token::Options::Target))),
    }
}

fn sources(options: &Options, to: Option<&token::Options>) -> Result<Sources, Failure> {
    let sources = Sources::parse(&options.bind_source).map_err(Failure::usage)?;
    match to.and_then(token::Options::target) {
        Some(Target::Unix(path)) if sources.are_given() => Err(Failure::usage(format!(
            "--bind-source is for TCP targets, and {} is a Unix socket",
            path.display()
        ))),
        _ => Ok(sources),
    }
}

fn no_target() -> Failure {
    Failure::usage(
        "Too few arguments: give a target, host:port, --unix-target=FILE or --token-plugin=CLASS",
    )
}

/// Reads `[host:]port`.
fn listen_address(text: &str) -> Result<(String, u16), Failure> {
    let (host, port) = split_host_port(text).unwrap_or(("", text));
    let port = listen_port(port).ok_or_else(|| {
        Failure::usage(format!(
            "Error parsing listen port: '{port}' is not a port from 0 to 65535"
        ))
    })?;
    Ok((host.to_owned(), port))
}

fn listen_port(text: &str) -> Option<u16> {
    decimal(text).and_then(|port| u16::try_from(port).ok())
}

/// The demo's target answers anybody, so nobody but this machine's users may reach it.
fn demo_listener(text: &str) -> Result<Listen, Failure> {
    let (host, port) = listen_address(text)?;
    match host.as_str() {
        "" | "localhost" | "127.0.0.1" | "::1" => {
            let host = if host.is_empty() {
                "localhost".to_owned()
            } else {
                host
            };
            Ok(Listen::Tcp {
                host,
                port,
                prefer_ipv6: false,
            })
        }
        _ => Err(Failure::usage(format!(
            "--demo listens on loopback only, not on '{host}'"
        ))),
    }
}

fn octal_mode(text: &str) -> Result<u32, Failure> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode @ 0..=0o777) if !digits.starts_with('+') => Ok(mode),
        _ => Err(Failure::usage(format!(
            "Error parsing listen unix socket mode: '{text}' is not an octal mode like 0660"
        ))),
    }
}

/// Names must be tokens (RFC 9110, 5.6.2), or no client could offer them.
fn subprotocols(names: Vec<String>) -> Result<Vec<String>, Failure> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    for name in &names {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Failure::usage(format!(
                "--subprotocol: '{name}' is not a token"
            )));
        }
    }
    Ok(names)
}

fn url_path(option: &str, path: Option<String>) -> Result<Option<String>, Failure> {
    match path {
        Some(path) if !path.starts_with('/') => Err(Failure::usage(format!(
            "{option}: '{path}' does not begin with '/'"
        ))),
        path => Ok(path),
    }
}

/// The control socket's place in the directory that systemd made for us (`RuntimeDirectory=`).
fn in_runtime_directory() -> Option<PathBuf> {
    let directories = std::env::var("RUNTIME_DIRECTORY").ok()?;
    let first = directories.split(':').next().filter(|it| !it.is_empty())?;
    Some(Path::new(first).join("control"))
}

fn per_address(given: Option<u32>) -> PerAddress {
    match given {
        Some(0) => PerAddress {
            limit: u32::MAX,
            loopback: true,
        },
        Some(limit) => PerAddress {
            limit,
            loopback: true,
        },
        None => PerAddress {
            limit: limits::CONNECTIONS_PER_ADDRESS,
            loopback: false,
        },
    }
}

fn seconds(given: u32) -> Option<Duration> {
    (given > 0).then(|| Duration::from_secs(given.into()))
}

#[cfg(test)]
mod tests {
    use super::{Config, Listen, Target, token};
    use crate::cli::{Asked, parse};
    use crate::error::Failure;

    fn config(line: &str) -> Result<Config, String> {
        let words = ["websockify"].into_iter().chain(line.split_whitespace());
        match parse(words.map(Into::into)) {
            Ok(Asked::Serve(options)) => {
                Config::new(*options, Vec::new()).map_err(|failure| match failure {
                    Failure::Usage(text) => text,
                    other => panic!("{other} is no usage error"),
                })
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn where_to_listen() {
        for (text, host, port) in [
            ("6080", "", 6080),
            ("+6_080", "", 6080),
            (":6080", "", 6080),
            ("0", "", 0),
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("[::1]:80", "::1", 80),
            ("::1:80", "::1", 80),
        ] {
            let Listen::Tcp {
                host: got,
                port: at,
                ..
            } = config(&format!("{text} h:1")).unwrap().listen
            else {
                panic!()
            };
            assert_eq!((got.as_str(), at), (host, port), "{text}");
        }
        for text in ["70000", "host:", "8o", "-", "65536"] {
            assert!(
                config(&format!("{text} h:1"))
                    .unwrap_err()
                    .contains("listen port"),
                "{text}"
            );
        }
    }

    #[test]
    fn one_positional_is_the_target_where_something_else_listens() {
        for line in ["--inetd h:1", "--unix-listen /s h:1", "h:1 --inetd"] {
            let target = config(line).unwrap().to;
            assert_eq!(
                target,
                Some(token::Options::Target(Target::Tcp {
                    host: "h".into(),
                    port: 1
                })),
                "{line}"
            );
        }
        assert_eq!(
            config("6080 --unix-target /s").unwrap().to,
            Some(token::Options::Target(Target::Unix("/s".into())))
        );
    }

    #[test]
    fn what_cannot_be_meant() {
        for (line, part) in [
            ("", "Too few arguments"),
            ("6080", "Too few arguments"),
            ("6080 nothing", "'nothing' is not host:port"),
            ("--unix-listen /s 6080 h:1", "Too many arguments"),
            ("--unix-target /s 6080 h:1", "Too many arguments"),
            ("--inetd --unix-listen /s h:1", "exclude"),
            (
                "--unix-listen /s --unix-listen-mode 0999 h:1",
                "unix socket mode",
            ),
            (
                "--unix-listen /s --unix-listen-mode 7777 h:1",
                "unix socket mode",
            ),
            ("--subprotocol a;b 6080 h:1", "'a;b' is not a token"),
            ("--health-path x 6080 h:1", "begin with '/'"),
            ("--demo 0.0.0.0:80", "loopback"),
            ("--demo 6080 h:1", "own target"),
            ("--daemon --inetd h:1", "--daemon"),
            ("--ssl-target-insecure 6080 h:1", "needs --ssl-target"),
            ("--ssl-target-cafile /f 6080 h:1", "needs --ssl-target"),
            (
                "--ssl-target --ssl-target-key /f 6080 h:1",
                "needs --ssl-target-cert",
            ),
            ("--demo --target-config /f 6080", "own target"),
            ("--target-config /f 6080 h:1", "Too many arguments"),
            (
                "--target-config /f --unix-target /s 6080",
                "place of a target",
            ),
            ("--inetd --target-config /f h:1", "Too many arguments"),
            ("6080 h:1 -- vncserver :1", "Too many arguments"),
            ("--unix-target /s 6080 -- vncserver :1", "exclude"),
            ("--target-config /f 6080 -- vncserver :1", "exclude"),
            ("--demo 6080 -- vncserver :1", "exclude"),
            ("0 -- vncserver :1", "port that the program listens on"),
            (
                "--unix-listen /s -- vncserver :1",
                "port that the program listens on",
            ),
            ("6080 --", "Too few arguments"),
            ("--accept-proxy-protocol 6080 h:1", "needs --trusted-proxy"),
            ("--demo --proxy-protocol v1", "a target that expects it"),
            (
                "--trusted-proxy 10.0.0.1/8 6080 h:1",
                "10.0.0.0/8 is the network",
            ),
            ("--frame-ancestors * 6080 h:1", "'*' is neither"),
            ("--bind-source h 6080 h:1", "'h' is not an IP address"),
            (
                "--bind-source 127.0.0.1 --unix-target /s 6080",
                "/s is a Unix socket",
            ),
        ] {
            let error = config(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
