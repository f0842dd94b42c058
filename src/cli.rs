//! Every option, once: its flag, its environment variable and its help.
//!
//! websockify's users type what optparse lets them: options anywhere, and any unique prefix of a
//! long option. clap does the first; the second is done here, so that a new option of ours never
//! makes one of their prefixes ambiguous.

mod integer;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Parser};

use crate::error::Failure;
use crate::wrap::elsewhere;
use integer::Seconds;

pub(crate) use integer::decimal;

const USAGE: &str = "\
websockify [OPTIONS] [SOURCE_ADDR:]SOURCE_PORT TARGET_ADDR:TARGET_PORT
       websockify [OPTIONS] --unix-target=FILE [SOURCE_ADDR:]SOURCE_PORT
       websockify [OPTIONS] --token-plugin=CLASS [SOURCE_ADDR:]SOURCE_PORT
       websockify [OPTIONS] --unix-listen=FILE TARGET_ADDR:TARGET_PORT
       websockify [OPTIONS] [SOURCE_ADDR:]SOURCE_PORT -- COMMAND [ARGUMENT...]
       websockify --demo [SOURCE_PORT]
       websockify ctl --help";

const AFTER: &str = "\
Each option can also be given by its environment variable; the command line wins, also where it
names another kind of target or socket. A service manager that passes sockets (LISTEN_FDS) takes
the place of SOURCE_PORT, which may be left out or not.

COMMAND is a program that listens on SOURCE_PORT: its port is moved to loopback, ours takes its
place, and it ends with us. What it says is in our log.

Exit status: 0 after SIGTERM, SIGINT, --run-once, --timeout or --idle-timeout, and with --daemon
as soon as it serves; 1 when the start fails (port taken, no such directory, …); 2 when an option
is wrong; 77 when --sandbox=enforce cannot be held; COMMAND's own, or 128 and its signal's number, when COMMAND ends.";

// What --help and the manual have together.
const SOCKETS: &str = "Where from and where to";
const TLS: &str = "TLS for clients";
const TARGET_TLS: &str = "TLS to the target";
const PAGES: &str = "Pages";
const DOOR: &str = "Who may come in";
const TOKENS: &str = "Many targets";
const PROXIES: &str = "Reverse proxies";
const SESSIONS: &str = "Sessions";
const WATCHING: &str = "Monitoring";
const LOG: &str = "Log and background";
const WRAPPING: &str = "A program behind the bridge";
const CHECKS: &str = "Sandbox and checks";
const OTHER: &str = "Other";

/// What was typed, or found in the environment. [`crate::config`] says what it means.
#[derive(Debug, Parser)]
#[command(
    name = "websockify",
    version,
    about = "WebSocket to TCP bridge: a browser reaches a TCP or Unix service through us",
    override_usage = USAGE,
    after_help = AFTER,
    args_override_self = true,
    max_term_width = 100
)]
pub struct Options {
    /// Where to listen: [host:]port or [v6]:port; without a host, on every IPv4 and IPv6 address
    #[arg(value_name = "SOURCE_ADDR:SOURCE_PORT", env = "WEBSOCKIFY_LISTEN")]
    pub listen: Option<String>,

    /// Where clients are taken to: host:port or [v6]:port
    #[arg(value_name = "TARGET_ADDR:TARGET_PORT", env = "WEBSOCKIFY_TARGET")]
    pub target: Option<String>,

    /// Listen on a Unix socket instead of a port; a stale socket there is replaced, nothing else
    #[arg(help_heading = SOCKETS, long, value_name = "FILE", env = "WEBSOCKIFY_UNIX_LISTEN")]
    pub unix_listen: Option<PathBuf>,

    /// Permissions of the --unix-listen socket, in octal
    #[arg(
        help_heading = SOCKETS,
        long,
        value_name = "MODE",
        env = "WEBSOCKIFY_UNIX_LISTEN_MODE",
        default_value = "0600"
    )]
    pub unix_listen_mode: String,

    /// Bridge to a Unix socket instead of a port
    #[arg(help_heading = SOCKETS, long, value_name = "FILE", env = "WEBSOCKIFY_UNIX_TARGET")]
    pub unix_target: Option<PathBuf>,

    /// Connect to TCP targets from ADDRESS of this machine, of the target's family; repeat it or
    /// separate by commas, and sessions take turns. One has about 28000 ports towards one target:
    /// where they are all in use, the next is tried
    #[arg(help_heading = SOCKETS, long, value_name = "ADDRESS", env = "WEBSOCKIFY_BIND_SOURCE", value_delimiter = ',',
          action = ArgAction::Append)]
    pub bind_source: Vec<String>,

    /// Serve the socket on standard input, listening (inetd wait) or connected (nowait)
    #[arg(help_heading = SOCKETS, long, env = "WEBSOCKIFY_INETD", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub inetd: bool,

    /// Listen on IPv6 addresses where there is a choice
    #[arg(help_heading = SOCKETS, short = '6', long, env = "WEBSOCKIFY_PREFER_IPV6", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub prefer_ipv6: bool,

    /// Certificate with its chain, in PEM; or a directory of them, as certbot's; repeat it or
    /// separate by commas, and each client gets the one it asks for by name. Unless given,
    /// self.pem if it is here. TLS and plain clients share the port
    #[arg(help_heading = TLS, long, value_name = "FILE", env = "WEBSOCKIFY_CERT", value_delimiter = ',',
          action = ArgAction::Append)]
    pub cert: Vec<PathBuf>,

    /// Key of the certificate, if it is not in the same file; as many as there are of --cert
    #[arg(help_heading = TLS, long, value_name = "FILE", env = "WEBSOCKIFY_KEY", value_delimiter = ',',
          action = ArgAction::Append)]
    pub key: Vec<PathBuf>,

    /// Password of an encrypted key. Every user of this machine can read it in the list of
    /// processes: better use --key-password-file
    #[arg(
        help_heading = TLS,
        long,
        value_name = "PASSWORD",
        env = "WEBSOCKIFY_KEY_PASSWORD",
        hide_env_values = true
    )]
    pub key_password: Option<String>,

    /// File whose first line is the password of an encrypted key
    #[arg(help_heading = TLS, long, value_name = "FILE", env = "WEBSOCKIFY_KEY_PASSWORD_FILE")]
    pub key_password_file: Option<PathBuf>,

    /// Turn clients without TLS away: pages are redirected to https, WebSockets refused
    #[arg(help_heading = TLS, long, env = "WEBSOCKIFY_SSL_ONLY", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub ssl_only: bool,

    /// Oldest TLS version to speak; default is tlsv1_2. OpenSSL has 1.1 only with
    /// --ssl-ciphers=DEFAULT@SECLEVEL=0
    #[arg(help_heading = TLS, long, value_name = "VERSION", env = "WEBSOCKIFY_SSL_VERSION", default_value = "default",
          hide_default_value = true,
          value_parser = ["default", "tlsv1_1", "tlsv1_2", "tlsv1_3"])]
    pub ssl_version: String,

    /// OpenSSL's names of ciphers (ciphers(1)), separated by colons; those that begin with TLS_
    /// are for TLS 1.3, the others for older versions. Unless given, those with forward secrecy
    #[arg(help_heading = TLS, long, value_name = "LIST", env = "WEBSOCKIFY_SSL_CIPHERS")]
    pub ssl_ciphers: Option<String>,

    /// Let only clients in that show a valid certificate; implies --ssl-only
    #[arg(help_heading = TLS, long, env = "WEBSOCKIFY_VERIFY_CLIENT", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub verify_client: bool,

    /// Authorities of clients' certificates, in PEM, with revocation lists if there are any;
    /// the system's authorities unless given
    #[arg(help_heading = TLS, long, value_name = "FILE", env = "WEBSOCKIFY_CAFILE")]
    pub cafile: Option<PathBuf>,

    /// Speak TLS to the target, and verify its certificate
    #[arg(help_heading = TARGET_TLS, long, env = "WEBSOCKIFY_SSL_TARGET", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub ssl_target: bool,

    /// Authorities of the target's certificate, in PEM; the system's unless given
    #[arg(help_heading = TARGET_TLS, long, value_name = "FILE", env = "WEBSOCKIFY_SSL_TARGET_CAFILE")]
    pub ssl_target_cafile: Option<PathBuf>,

    /// Name that the target's certificate must be for; its host unless given
    #[arg(help_heading = TARGET_TLS, long, value_name = "NAME", env = "WEBSOCKIFY_SSL_TARGET_NAME")]
    pub ssl_target_name: Option<String>,

    /// Certificate to show to the target
    #[arg(help_heading = TARGET_TLS, long, value_name = "FILE", env = "WEBSOCKIFY_SSL_TARGET_CERT")]
    pub ssl_target_cert: Option<PathBuf>,

    /// Key of --ssl-target-cert, if it is not in the same file
    #[arg(help_heading = TARGET_TLS, long, value_name = "FILE", env = "WEBSOCKIFY_SSL_TARGET_KEY")]
    pub ssl_target_key: Option<PathBuf>,

    /// Accept any certificate of the target: whoever is in between can read and change everything
    #[arg(help_heading = TARGET_TLS, long, env = "WEBSOCKIFY_SSL_TARGET_INSECURE", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub ssl_target_insecure: bool,

    /// Serve the files beneath DIR on the same port
    #[arg(help_heading = PAGES, long, value_name = "DIR", env = "WEBSOCKIFY_WEB")]
    pub web: Option<PathBuf>,

    /// With --web, list no directories
    #[arg(help_heading = PAGES, long, env = "WEBSOCKIFY_FILE_ONLY", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub file_only: bool,

    /// Ask CLASS who may open a WebSocket: BasicHTTPAuth, ExpectOrigin, ClientCertCNAuth, or Exec
    /// for a program of your own; repeat it or separate by commas, and all must agree
    #[arg(help_heading = DOOR, long, value_name = "CLASS", env = "WEBSOCKIFY_AUTH_PLUGIN", value_delimiter = ',',
          action = ArgAction::Append)]
    pub auth_plugin: Vec<String>,

    /// What the --auth-plugin of the same place goes by: USER:PASSWORD, which every user of this
    /// machine can read in the list of processes, or better @FILE as htpasswd -B makes it; origins
    /// (https://host, https://*.host); names in certificates; or a program and its arguments
    /// (websockify-helper(7)). In the environment, one a line
    #[arg(help_heading = DOOR, long, value_name = "ARG", env = "WEBSOCKIFY_AUTH_SOURCE", hide_env_values = true,
          value_delimiter = '\n', action = ArgAction::Append)]
    pub auth_source: Vec<String>,

    /// With --web, ask the --auth-plugin about pages, too
    #[arg(help_heading = DOOR, long, env = "WEBSOCKIFY_WEB_AUTH", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub web_auth: bool,

    /// Ask CLASS where each session goes, by the token in its request (?token=…): TokenFile,
    /// ReadOnlyTokenFile, TokenFileName, UnixDomainSocketDirectory, BaseTokenAPI, JSONTokenApi,
    /// JWTTokenApi, TokenRedis, or Exec for a program of your own; takes the place of a target
    #[arg(help_heading = TOKENS, long, value_name = "CLASS", env = "WEBSOCKIFY_TOKEN_PLUGIN")]
    pub token_plugin: Option<String>,

    /// What --token-plugin goes by: a file of lines 'TOKEN: HOST:PORT' or a directory of such
    /// files; a directory of files or sockets that are named like tokens; the APIs' URL with %s
    /// for the token; a key file of JWTTokenApi; HOST[:PORT[:DB[:PASSWORD[:NAMESPACE]]]] or a URL of
    /// TokenRedis (redis://, rediss://, unix://); or a program and its arguments
    /// (websockify-helper(7)). One with a password is better given in the environment
    #[arg(
        help_heading = TOKENS,
        long,
        value_name = "ARG",
        env = "WEBSOCKIFY_TOKEN_SOURCE",
        hide_env_values = true
    )]
    pub token_source: Option<String>,

    /// Take the name in the Host header, without a port, for the token
    #[arg(help_heading = TOKENS, long, env = "WEBSOCKIFY_HOST_TOKEN", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub host_token: bool,

    /// Where in a request its token is: query (?token=…), path (its last part), host or
    /// header:NAME; default is query
    #[arg(help_heading = TOKENS, long, value_name = "PLACE", env = "WEBSOCKIFY_TOKEN_FROM")]
    pub token_from: Option<String>,

    /// With JWTTokenApi, let only tokens count that say they are from NAME (iss)
    #[arg(help_heading = TOKENS, long, value_name = "NAME", env = "WEBSOCKIFY_TOKEN_ISSUER")]
    pub token_issuer: Option<String>,

    /// With JWTTokenApi, let only tokens count that say they are for NAME (aud)
    #[arg(help_heading = TOKENS, long, value_name = "NAME", env = "WEBSOCKIFY_TOKEN_AUDIENCE")]
    pub token_audience: Option<String>,

    /// With JWTTokenApi, end a session when its token expires (exp); otherwise a token has to be
    /// valid only when the session begins
    #[arg(help_heading = TOKENS, long, env = "WEBSOCKIFY_TOKEN_EXPIRY", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub token_expiry: bool,

    /// How a client with a wrong token or none learns of it: http is a status, which browsers hide
    /// from their user; close is a WebSocket that is closed with a code and a reason
    #[arg(help_heading = TOKENS, long, value_name = "HOW", env = "WEBSOCKIFY_TOKEN_ERRORS", default_value = "http",
          value_parser = ["http", "close"])]
    pub token_errors: String,

    /// Let tokens lead only to CIDR, HOST, *.DOMAIN, each with :PORT or :FIRST-LAST or for every
    /// port, or unix:DIRECTORY; repeat it or separate by commas. Judged is the address that a name
    /// turns out to have
    #[arg(help_heading = TOKENS, long, value_name = "WHERE", env = "WEBSOCKIFY_ALLOW_TARGET", value_delimiter = ',',
          action = ArgAction::Append)]
    pub allow_target: Vec<String>,

    /// The same as --token-plugin=TokenFile --token-source=FILE
    #[arg(help_heading = TOKENS, long, value_name = "FILE", env = "WEBSOCKIFY_TARGET_CONFIG")]
    pub target_config: Option<String>,

    /// Reverse proxy that may say who its clients are, by X-Forwarded-For, Forwarded and
    /// X-Forwarded-Proto: an address, a network like 10.0.0.0/8, or unix for whoever comes by a
    /// Unix socket; repeat it or separate by commas
    #[arg(help_heading = PROXIES, long, value_name = "NETWORK", env = "WEBSOCKIFY_TRUSTED_PROXY", value_delimiter = ',',
          action = ArgAction::Append)]
    pub trusted_proxy: Vec<String>,

    /// Expect a PROXY header, version 1 or 2, at the beginning of each connection of a --trusted-proxy
    #[arg(help_heading = PROXIES, long, env = "WEBSOCKIFY_ACCEPT_PROXY_PROTOCOL", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub accept_proxy_protocol: bool,

    /// Begin each connection to the target with a PROXY header, v1 or v2, that names the client
    #[arg(help_heading = PROXIES, long, value_name = "VERSION", env = "WEBSOCKIFY_PROXY_PROTOCOL",
          value_parser = ["v1", "v2"])]
    pub proxy_protocol: Option<String>,

    /// Pages that may show ours in a frame: none, self, or origins like https://*.example.org;
    /// repeat it or separate by commas. Unless given, all may
    #[arg(help_heading = PAGES, long, value_name = "ORIGIN", env = "WEBSOCKIFY_FRAME_ANCESTORS", value_delimiter = ',',
          action = ArgAction::Append)]
    pub frame_ancestors: Vec<String>,

    /// Accept this WebSocket subprotocol too, beside 'binary'; repeat it or separate by commas
    #[arg(help_heading = SESSIONS, long, value_name = "NAME", env = "WEBSOCKIFY_SUBPROTOCOL", value_delimiter = ',',
          action = ArgAction::Append)]
    pub subprotocol: Vec<String>,

    /// Let clients of 2010 and 2011 in, too: WebSocket drafts hixie-75 and hixie-76, and Flash. Off
    /// unless given, because their frames have no mask, by which a page can slip requests of its
    /// own past proxies in between, and because Flash is told that any page may connect to any port
    /// of this host
    #[arg(help_heading = SESSIONS, long, env = "WEBSOCKIFY_LEGACY_PROTOCOLS", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub legacy_protocols: bool,

    /// Answer GET PATH with 200 while the program serves
    #[arg(help_heading = WATCHING, long, value_name = "PATH", env = "WEBSOCKIFY_HEALTH_PATH")]
    pub health_path: Option<String>,

    /// Answer GET PATH with counts of sessions, bytes and refusals, as OpenMetrics text: whoever
    /// reaches the port can read them
    #[arg(help_heading = WATCHING, long, value_name = "PATH", env = "WEBSOCKIFY_METRICS_PATH")]
    pub metrics_path: Option<String>,

    /// Unix socket for `websockify ctl`, which lists and ends sessions: for root and our own user.
    /// Unless given, 'control' in systemd's RuntimeDirectory= if there is one
    #[arg(help_heading = WATCHING, long, value_name = "PATH", env = "WEBSOCKIFY_CONTROL_SOCKET")]
    pub control_socket: Option<PathBuf>,

    /// Connections at once, web pages included. Unless given, 10000 or what the limit on open
    /// files has room for
    #[arg(help_heading = SESSIONS, long, value_name = "N", env = "WEBSOCKIFY_MAX_CONNECTIONS",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,

    /// Connections at once from one IPv4 address or IPv6 /64 network; 0 is any number. Unless
    /// given, 256, and loopback (where reverse proxies live) is not counted
    #[arg(help_heading = SESSIONS, long, value_name = "N", env = "WEBSOCKIFY_MAX_CONNECTIONS_PER_ADDRESS")]
    pub max_connections_per_address: Option<u32>,

    /// Ping each client every SECONDS and end the session of one that lets a whole interval pass
    /// without an answer; 0 is never
    #[arg(
        help_heading = SESSIONS,
        long,
        value_name = "SECONDS",
        env = "WEBSOCKIFY_HEARTBEAT",
        default_value = "0",
        hide_default_value = true,
        value_parser = Seconds
    )]
    pub heartbeat: u32,

    /// Serve one WebSocket session and exit when it ends
    #[arg(help_heading = SESSIONS, long, env = "WEBSOCKIFY_RUN_ONCE", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub run_once: bool,

    /// After SECONDS, accept nobody and exit as soon as no session is left; 0 is never
    #[arg(
        help_heading = SESSIONS,
        long,
        value_name = "SECONDS",
        env = "WEBSOCKIFY_TIMEOUT",
        default_value = "0",
        hide_default_value = true,
        value_parser = Seconds
    )]
    pub timeout: u32,

    /// Exit when there has been no connection for SECONDS; 0 is never
    #[arg(
        help_heading = SESSIONS,
        long,
        value_name = "SECONDS",
        env = "WEBSOCKIFY_IDLE_TIMEOUT",
        default_value = "0",
        hide_default_value = true,
        value_parser = Seconds
    )]
    pub idle_timeout: u32,

    /// When systemd restarts the service: wait SECONDS for sessions that it cannot keep, such as those
    /// inside TLS where the kernel does none, and serve meanwhile; then they are closed. All others go on
    #[arg(
        help_heading = SESSIONS,
        long,
        value_name = "SECONDS",
        env = "WEBSOCKIFY_DRAIN_TIMEOUT",
        default_value = "10",
        value_parser = Seconds
    )]
    pub drain_timeout: u32,

    /// Copy each session into a file of its own, FILE.1, FILE.2 and so on, which noVNC's playback
    /// reads. It holds all that was typed, passwords too; only its owner may read it
    #[arg(help_heading = SESSIONS, long, value_name = "FILE", env = "WEBSOCKIFY_RECORD")]
    pub record: Option<PathBuf>,

    /// Go into the background as soon as clients are served; exit status 1, with the reason on
    /// standard error, if that does not come to pass. Without --log-file and --syslog, the log goes
    /// to the log server of this machine
    #[arg(help_heading = LOG, short = 'D', long, env = "WEBSOCKIFY_DAEMON", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub daemon: bool,

    /// Write the process id to FILE while serving, and remove it at the end
    #[arg(help_heading = LOG, long, value_name = "FILE", env = "WEBSOCKIFY_PID_FILE")]
    pub pid_file: Option<PathBuf>,

    /// Append the log to FILE, too; SIGHUP opens it anew, as logrotate needs it. Not to a pipe or
    /// a terminal: sessions wait for whoever reads those, as they do not for standard error
    #[arg(help_heading = LOG, long, value_name = "FILE", env = "WEBSOCKIFY_LOG_FILE")]
    pub log_file: Option<PathBuf>,

    /// Send the log to a log server, too: the path of its socket, such as /dev/log, or host:port
    /// or [v6]:port for UDP
    #[arg(help_heading = LOG, long, value_name = "SERVER", env = "WEBSOCKIFY_SYSLOG")]
    pub syslog: Option<String>,

    /// With --syslog, write records as before RFC 5424; journald's /dev/log wants them so
    #[arg(help_heading = LOG, long, env = "WEBSOCKIFY_LEGACY_SYSLOG", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub legacy_syslog: bool,

    /// Log every request and connection
    #[arg(help_heading = LOG, short, long, env = "WEBSOCKIFY_VERBOSE", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub verbose: bool,

    /// Write a mark to standard output for each piece of traffic: } from the client, { from the
    /// target, > to the target, < to the client; a dot beside it when the piece is a part
    #[arg(help_heading = LOG, long, env = "WEBSOCKIFY_TRAFFIC", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub traffic: bool,

    /// When COMMAND ends: end with it (exit), go on (ignore: it may have gone to the background), or
    /// start it again (respawn)
    #[arg(help_heading = WRAPPING, long, value_name = "MODE", env = "WEBSOCKIFY_WRAP_MODE", default_value = "exit",
          value_parser = ["exit", "ignore", "respawn"])]
    pub wrap_mode: String,

    /// Run COMMAND as this user, with the user's groups; for root only
    #[arg(help_heading = WRAPPING, long, value_name = "USER", env = "WEBSOCKIFY_WRAP_USER")]
    pub wrap_user: Option<String>,

    /// Files, ports and processes out of reach, by the kernel: enforce does not start without, try takes
    /// what there is, off is for debuggers
    #[arg(help_heading = CHECKS, long, value_name = "HOW", env = "WEBSOCKIFY_SANDBOX", default_value = "try",
          value_parser = ["enforce", "try", "off"])]
    pub sandbox: String,

    /// Judge the command line and all files that it names, say so and exit; nothing is opened to
    /// clients
    #[arg(help_heading = CHECKS, long)]
    pub check_config: bool,

    /// Judge /etc/websockify/NAME.conf and all files that it names, as websockify@NAME.socket does
    /// before it listens
    #[arg(help_heading = CHECKS, long, value_name = "NAME")]
    pub check_instance: Option<String>,

    /// Accepted because websockify has it, and changes nothing: there is one server here
    #[arg(help_heading = OTHER, long, env = "WEBSOCKIFY_LIBSERVER", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub libserver: bool,

    /// Serve a page that shows the bridge at work, on loopback, with a target of its own
    #[arg(help_heading = OTHER, long, env = "WEBSOCKIFY_DEMO", action = ArgAction::SetTrue,
          value_parser = BoolishValueParser::new())]
    pub demo: bool,

    /// Copy renewed keys to where websockify@NAME.service finds them
    #[arg(long, value_name = "NAME", hide = true)]
    pub refresh_credentials: Option<String>,

    /// Program to wrap
    #[arg(last = true, hide = true)]
    pub command: Vec<OsString>,

    /// [`elsewhere::VARIABLE`]: for units, which start the program, and not on a command line.
    #[arg(skip)]
    pub wrap: Option<String>,

    /// Variables that look like options of ours and are none: a misspelt line of a file.
    #[arg(skip)]
    pub unknown_variables: Vec<String>,

    /// What was typed rather than found in the environment.
    #[arg(skip)]
    pub typed: Typed,
}

/// Which of the options that say where from and where to were typed: those win over any of the
/// environment, also of another name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Typed {
    /// The first positional.
    pub listen: bool,
    /// The second.
    pub target: bool,
    /// See [`Options::unix_listen`].
    pub unix_listen: bool,
    /// See [`Options::unix_target`].
    pub unix_target: bool,
    /// See [`Options::inetd`].
    pub inetd: bool,
    /// See [`Options::demo`].
    pub demo: bool,
    /// See [`Options::token_plugin`] and [`Options::target_config`].
    pub tokens: bool,
}

/// websockify's options: their prefixes go before ours.
const WEBSOCKIFYS_OWN: &[&str] = &[
    "auth-plugin",
    "auth-source",
    "cafile",
    "cert",
    "daemon",
    "file-only",
    "heartbeat",
    "help",
    "host-token",
    "idle-timeout",
    "inetd",
    "key",
    "key-password",
    "legacy-syslog",
    "libserver",
    "log-file",
    "prefer-ipv6",
    "record",
    "run-once",
    "ssl-ciphers",
    "ssl-only",
    "ssl-target",
    "ssl-version",
    "syslog",
    "target-config",
    "timeout",
    "token-plugin",
    "token-source",
    "traffic",
    "unix-listen",
    "unix-listen-mode",
    "unix-target",
    "verbose",
    "verify-client",
    "web",
    "web-auth",
    "wrap-mode",
];

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To serve.
    Serve(Box<Options>),
    /// To print this text, for --help and --version.
    Print(String),
}

/// Reads a command line, program name first, and the environment.
///
/// # Errors
/// [`Failure::Usage`] with one paragraph for whoever typed it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Failure> {
    let command = without_empty_variables(Options::command());
    let unknown_variables = unknown_variables(&command);
    let arguments = expand(&command, arguments.into_iter().collect())?;
    match command
        .try_get_matches_from(arguments)
        .and_then(|matches| from_matches(&matches))
    {
        Ok(options) => Ok(Asked::Serve(Box::new(Options {
            wrap: std::env::var(elsewhere::VARIABLE)
                .ok()
                .filter(|it| !it.is_empty()),
            unknown_variables,
            ..options
        }))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Asked::Print(error.render().to_string()))
            }
            _ => {
                let text = error.render().to_string();
                Err(Failure::usage(
                    text.strip_prefix("error: ").unwrap_or(&text).trim_end(),
                ))
            }
        },
    }
}

fn from_matches(matches: &ArgMatches) -> Result<Options, clap::Error> {
    let mut options = Options::from_arg_matches(matches)?;
    let typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    options.typed = Typed {
        listen: typed("listen"),
        target: typed("target"),
        unix_listen: typed("unix_listen"),
        unix_target: typed("unix_target"),
        inetd: typed("inetd"),
        demo: typed("demo"),
        tokens: typed("token_plugin") || typed("target_config"),
    };
    Ok(options)
}

/// `WEBSOCKIFY_WEB=` in an instance's file means that there is none, as an empty line would.
fn without_empty_variables(command: Command) -> Command {
    command.mut_args(|argument| {
        let empty = argument
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        // A variable without a name is never set.
        if empty {
            argument.env("").hide_env(true)
        } else {
            argument
        }
    })
}

/// Variables that begin with our prefix and set no option.
fn unknown_variables(command: &Command) -> Vec<String> {
    let known = |name: &OsString| {
        let mut arguments = command.get_arguments();
        name == elsewhere::VARIABLE || arguments.any(|it| it.get_env() == Some(name.as_os_str()))
    };
    std::env::vars_os()
        .filter(|(name, value)| !value.is_empty() && !known(name))
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("WEBSOCKIFY_"))
        .collect()
}

/// Writes every long option out in full.
fn expand(command: &Command, arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let mut expanded = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.into_iter();
    expanded.extend(arguments.next());
    while let Some(argument) = arguments.next() {
        let Some(text) = argument.to_str() else {
            expanded.push(argument);
            continue;
        };
        if text == "--" {
            expanded.push(argument);
            break;
        }
        if let Some(long) = text.strip_prefix("--") {
            let (typed, value) = long
                .split_once('=')
                .map_or((long, None), |(n, v)| (n, Some(v)));
            let name = full_name(command, typed)?;
            let mut whole = OsString::from(format!("--{name}"));
            if let Some(value) = value {
                whole.push(format!("={value}"));
            } else if takes_value(command, &name) {
                if let Some(value) = arguments.next() {
                    // Joined, because to clap a value that begins with a dash is another option.
                    whole.push("=");
                    whole.push(value);
                }
            }
            expanded.push(whole);
        } else {
            expanded.push(argument);
        }
    }
    expanded.extend(arguments);
    Ok(expanded)
}

fn full_name(command: &Command, typed: &str) -> Result<String, Failure> {
    let theirs = WEBSOCKIFYS_OWN.iter().copied();
    let ours: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    if ours.contains(&typed) {
        return Ok(typed.to_owned());
    }
    let mut found: Vec<&str> = theirs.filter(|name| name.starts_with(typed)).collect();
    if found.is_empty() {
        found = ours
            .into_iter()
            .filter(|name| name.starts_with(typed))
            .collect();
    }
    found.sort_unstable();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        // clap says what is close to an unknown option.
        [] => Ok(typed.to_owned()),
        several => Err(Failure::usage(format!(
            "ambiguous option: --{typed} (--{}?)",
            several.join(", --")
        ))),
    }
}

fn takes_value(command: &Command, name: &str) -> bool {
    command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(name))
        .is_some_and(|argument| argument.get_action().takes_values())
}

#[cfg(test)]
mod tests;
