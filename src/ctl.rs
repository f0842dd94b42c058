//! `websockify ctl`: the administrator's end of the control socket.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Failure;
use crate::limits;
use crate::token::Mark;

/// Where systemd's `RuntimeDirectory=websockify` puts it.
const USUAL: &str = "/run/websockify/control";

/// List and end sessions of a running websockify, by way of its --control-socket. Answers are JSON
#[derive(Debug, Parser)]
#[command(name = "websockify ctl", max_term_width = 100)]
struct Options {
    /// Its control socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "WEBSOCKIFY_CONTROL_SOCKET",
        default_value = USUAL
    )]
    control_socket: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Live sessions: who, where to, since when, how many bytes
    List,
    /// End sessions that match all that is given
    Kill(Which),
    /// Counts since the start
    Stats,
    /// The same as OpenMetrics text, for monitoring
    Metrics,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
struct Which {
    /// The session of this number
    #[arg(long, group = "which")]
    id: Option<u64>,

    /// Sessions with this token, by the first 16 digits of its SHA-256, as `list` shows it; or '-',
    /// and the token itself is the first line of standard input
    #[arg(long, group = "which", value_name = "HASH")]
    token: Option<String>,

    /// Sessions to this target, as `list` shows it
    #[arg(long, group = "which")]
    target: Option<String>,
}

/// Its commands and options, for the manual and for shells.
#[must_use]
pub fn definition() -> clap::Command {
    Options::command()
}

/// Does what the words behind `ctl` ask for and returns the answer.
///
/// # Errors
/// Why there is none; or the answer, if it is an error.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<String, Failure> {
    let words = [OsString::from("websockify ctl")].into_iter().chain(words);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            let text = error.render().to_string();
            return match error.kind() {
                ErrorKind::DisplayHelp => Ok(text),
                _ => Err(Failure::usage(
                    text.strip_prefix("error: ").unwrap_or(&text).trim_end(),
                )),
            };
        }
    };
    let (method, path) = match options.command {
        Command::List => ("GET", "/sessions".to_owned()),
        Command::Kill(which) => ("DELETE", format!("/sessions?{}", query(which)?)),
        Command::Stats => ("GET", "/stats".to_owned()),
        Command::Metrics => ("GET", "/metrics".to_owned()),
    };
    let socket = options.control_socket;
    let (status, body) = ask(&socket, method, &path)
        .map_err(|error| Failure::start(format!("{}: {error}", socket.display())))?;
    if status == "200" {
        Ok(body)
    } else {
        Err(Failure::start(body.trim_end()))
    }
}

fn query(which: Which) -> Result<String, Failure> {
    let token = match which.token.as_deref() {
        Some("-") => {
            let mut line = String::new();
            io::stdin()
                .read_line(&mut line)
                .map_err(|error| Failure::start(format!("standard input: {error}")))?;
            Some(Mark::of(line.trim_end_matches('\n')))
        }
        Some(hash) => Some(Mark::parse(hash).ok_or_else(|| {
            Failure::usage("--token is the first 16 digits of a token's SHA-256, or '-'")
        })?),
        None => None,
    };
    let fields = [
        ("id", which.id.map(|id| id.to_string())),
        ("token", token.map(|mark| mark.to_string())),
        ("target", which.target),
    ];
    let given = fields
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs = given.map(|(name, value)| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// One request and its whole answer: status and body.
#[expect(
    clippy::disallowed_methods,
    reason = "not a session's way: the administrator's own socket"
)]
fn ask(socket: &Path, method: &str, path: &str) -> io::Result<(String, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limits::CONTROL_TIME))?;
    stream.set_write_timeout(Some(limits::CONTROL_TIME))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let odd = || io::Error::other("no answer: see the server's log, and whether it is its user");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(odd)?;
    let status = head.split(' ').nth(1).ok_or_else(odd)?;
    Ok((status.to_owned(), body.to_owned()))
}
