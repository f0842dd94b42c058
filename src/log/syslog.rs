//! --syslog: records for a log server, by RFC 5424 or as older servers want them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;

use log::Level;
use rustix::io::Errno;
use syslog::{Facility, Formatter5424, LogFormat, Severity};

use super::aside;
use super::queue::{Queue, Said};
use crate::limits;
use crate::target::{parse_port, split_host_port};

/// What we call ourselves, whatever our file is called.
const NAME: &str = "websockify";

#[derive(Debug)]
pub(super) struct Options {
    pub(super) server: Server,
    /// See [`crate::cli::Options::legacy_syslog`].
    pub(super) legacy: bool,
    /// Whether the records are a daemon's, or somebody's program's.
    pub(super) daemon: bool,
}

/// Where a log server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// A Unix socket.
    Local(PathBuf),
    /// A UDP port.
    Udp(String, u16),
}

impl Server {
    /// Reads a path, `host:port` or `[v6]:port`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("--syslog: neither a path nor host:port".into());
        }
        let Some((host, port)) = split_host_port(text).filter(|_| !text.starts_with('/')) else {
            let wrong = |error| format!("--syslog {text}: {error}");
            let path = std::path::absolute(text).map_err(wrong)?;
            // Too long for a socket's address, for one.
            unix::net::SocketAddr::from_pathname(&path).map_err(wrong)?;
            return Ok(Self::Local(path));
        };
        let host = if host.is_empty() { "localhost" } else { host };
        match parse_port(port) {
            Some(port @ 1..) => Ok(Self::Udp(host.to_owned(), port)),
            _ => Err(format!(
                "Error parsing syslog port: '{port}' is not a port from 1 to 65535"
            )),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Udp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Udp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// Where records are written to. They are sent once [`Syslog::deliver`] was called.
pub(super) struct Syslog {
    form: Form,
    queue: Queue<Vec<u8>>,
    server: Server,
}

impl Syslog {
    pub(super) fn new(options: Options) -> Self {
        Self {
            form: Form::new(&options),
            queue: Queue::new(limits::LOG_QUEUE),
            server: options.server,
        }
    }

    pub(super) fn write(&self, level: Level, text: &str) {
        self.queue.push(self.form.record(level, text));
    }

    /// Starts the thread that sends, unless it is there.
    pub(super) fn deliver(&self) {
        let mut line = Line {
            server: self.server.clone(),
            form: self.form.clone(),
            missing: 0,
            connection: None,
        };
        let send = move |said: Said<Vec<u8>>| {
            match said {
                Said::Record(record) => line.send(&record),
                Said::Missing(count) => line.missing += count,
            }
            line.tell_missing();
        };
        if let Err(error) = self.queue.deliver("syslog", send) {
            aside(Level::Error, &format!("--syslog: no thread: {error}"));
        }
    }

    /// Waits a little for what was written to be sent.
    pub(super) fn flush(&self) {
        self.deliver();
        if !self.queue.flush() {
            let text = format!("ending without the last records for {}", self.server);
            aside(Level::Warn, &text);
        }
    }
}

/// How a record is written.
#[derive(Clone)]
enum Form {
    /// RFC 5424.
    New(Formatter5424),
    /// RFC 3164 as syslog(3) and websockify send it, without time and host: the server knows both,
    /// and the RFC has no time zones.
    Old(Facility),
}

impl Form {
    fn new(options: &Options) -> Self {
        let facility = if options.daemon {
            Facility::LOG_DAEMON
        } else {
            Facility::LOG_USER
        };
        if options.legacy {
            return Self::Old(facility);
        }
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        Self::New(Formatter5424 {
            facility,
            hostname: (!host.is_empty()).then(|| host.into_owned()),
            process: NAME.into(),
            pid: process::id(),
        })
    }

    fn record(&self, level: Level, text: &str) -> Vec<u8> {
        let severity = match level {
            Level::Error => Severity::LOG_ERR,
            Level::Warn => Severity::LOG_WARNING,
            Level::Info => Severity::LOG_INFO,
            Level::Debug | Level::Trace => Severity::LOG_DEBUG,
        };
        // A stream's records end with a line.
        let text = text.replace('\n', " ");
        // RFC 5424, 6.4: what is not ASCII says that it is UTF-8.
        let mark = if text.is_ascii() { "" } else { "\u{feff}" };
        let mut record = Vec::new();
        // Writing to memory does not fail.
        let _ = match self {
            Self::New(formatter) => {
                let message = (0, BTreeMap::new(), format!("{mark}{text}"));
                formatter.format(&mut record, severity, message).is_ok()
            }
            Self::Old(facility) => {
                let priority = *facility as u8 | severity as u8;
                write!(record, "<{priority}>{NAME}[{}]: {text}", process::id()).is_ok()
            }
        };
        record
    }
}

/// The way to the server.
struct Line {
    server: Server,
    form: Form,
    /// Records that it was not sent, and has not been told of.
    missing: u64,
    connection: Option<Connection>,
}

enum Connection {
    Datagrams(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
}

impl Line {
    /// Sends a record, however long that takes. Trouble is told once, and so is its end.
    fn send(&mut self, record: &[u8]) {
        let mut in_trouble = false;
        while let Err(error) = self.try_twice(record) {
            if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) {
                self.missing += 1;
                break;
            }
            if !in_trouble {
                let text = format!(
                    "cannot log to {}: {error}; {} records are kept for it, no more",
                    self.server,
                    limits::LOG_QUEUE
                );
                aside(Level::Warn, &text);
            }
            in_trouble = true;
            thread::sleep(limits::LOG_RETRY);
        }
        if in_trouble {
            aside(Level::Info, &format!("logging to {} again", self.server));
        }
    }

    /// Where the server does not hear it now, it will behind the next record.
    fn tell_missing(&mut self) {
        if self.missing == 0 {
            return;
        }
        let text = format!(
            "{} records are missing here: the log server did not take them",
            self.missing
        );
        aside(Level::Warn, &text);
        let record = self.form.record(Level::Warn, &text);
        if self.try_twice(&record).is_ok() {
            self.missing = 0;
        }
    }

    /// The second try is for a server that has been started again.
    fn try_twice(&mut self, record: &[u8]) -> io::Result<()> {
        if let Some(connection) = &mut self.connection {
            if connection.send(record).is_ok() {
                return Ok(());
            }
        }
        self.connection = None;
        let mut connection = Connection::open(&self.server)?;
        connection.send(record)?;
        self.connection = Some(connection);
        Ok(())
    }
}

impl Connection {
    fn open(server: &Server) -> io::Result<Self> {
        match server {
            Server::Local(path) => Self::local(path),
            Server::Udp(host, port) => Self::udp(host, *port),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "to the administrator's log server, by a thread that nobody waits for"
    )]
    fn local(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(path) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PROTOTYPE) => {
                UnixStream::connect(path).map(Self::Stream)
            }
            connected => connected.map(|()| Self::Datagrams(socket)),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the administrator's log server, by a thread that nobody waits for"
    )]
    fn udp(host: &str, port: u16) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            let any: SocketAddr = match address {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let connected = UdpSocket::bind(any).and_then(|socket| {
                socket.connect(address)?;
                Ok(socket)
            });
            match connected {
                Ok(socket) => return Ok(Self::Udp(socket)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => socket.send(record).map(drop),
            Self::Udp(socket) => socket.send(record).map(drop),
            Self::Stream(stream) => stream.write_all(&[record, b"\n"].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use log::Level;
    use syslog::Facility;

    use super::{Form, Options, Server};

    #[test]
    fn a_path_or_a_port() {
        for (text, host, port) in [
            ("logs:514", "logs", 514),
            ("[2001:db8::1]:1514", "2001:db8::1", 1514),
            ("2001:db8::1:514", "2001:db8::1", 514),
            (":514", "localhost", 514),
        ] {
            assert_eq!(Server::parse(text), Ok(Server::Udp(host.into(), port)));
        }
        for path in ["/dev/log", "/run/odd:1/log"] {
            assert_eq!(Server::parse(path), Ok(Server::Local(path.into())));
        }
        let Ok(Server::Local(path)) = Server::parse("log") else {
            panic!()
        };
        assert!(path.is_absolute() && path.ends_with("log"));
        let long = format!("/{}", "x".repeat(200));
        for text in ["", "logs:", "logs:0", "logs:65536", "[::1]", &long] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_is_one_line_and_says_its_encoding() {
        let record = |form: &Form, text| String::from_utf8(form.record(Level::Warn, text)).unwrap();
        let old = Form::Old(Facility::LOG_DAEMON);
        let id = std::process::id();
        assert_eq!(
            record(&old, "one\ntwo"),
            format!("<28>websockify[{id}]: one two")
        );
        let new = Form::new(&Options {
            server: Server::Local("/dev/log".into()),
            legacy: false,
            daemon: false,
        });
        let line = record(&new, "plain");
        assert!(line.starts_with("<12>1 2"), "{line}");
        assert!(
            line.ends_with(&format!(" websockify {id} 0 - plain")),
            "{line}"
        );
        assert!(record(&new, "größer").ends_with(" - \u{feff}größer"));
    }
}
