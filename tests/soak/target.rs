//! The target of every session, by a port and by a Unix socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use std::{fs, thread};

use socket2::SockRef;

use crate::bytes::{self, expected};
use crate::counts::COUNTS;

/// What a session's first byte asks for; the next four say how many bytes, and where in the stream
/// they begin. Whoever says something else has it echoed, as those have who say [`ECHO`].
pub(crate) const ECHO: u8 = 1;
/// Reads so many, and says 'R' if they are right.
pub(crate) const UP: u8 = 2;
/// Says so many, and ends.
pub(crate) const DOWN: u8 = 3;
/// Both at once.
pub(crate) const BOTH: u8 = 4;
/// Says so many, and resets the connection.
pub(crate) const RESET: u8 = 5;

/// What a session begins with.
pub(crate) fn order(what: u8, at: usize, count: usize) -> Vec<u8> {
    let number = |it: usize| u32::try_from(it).unwrap().to_be_bytes();
    [&[what][..], &number(at), &number(count)].concat()
}

pub(crate) fn listen(port: u16, socket: &str) {
    let by_port = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let by_socket = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
    thread::spawn(move || {
        for stream in by_port.incoming() {
            thread::spawn(|| serve(&Target::Tcp(stream.unwrap())));
        }
    });
    thread::spawn(move || {
        for stream in by_socket.incoming() {
            thread::spawn(|| serve(&Target::Unix(stream.unwrap())));
        }
    });
}

enum Target {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for &Target {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Target::Tcp(stream) => (&mut &*stream).read(room),
            Target::Unix(stream) => (&mut &*stream).read(room),
        }
    }
}

impl Write for &Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Tcp(stream) => (&mut &*stream).write(bytes),
            Target::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target {
    fn end(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
        // What the client still says is not for us, but a socket that is closed on it is a reset.
        let _ = io::copy(&mut &*self, &mut io::sink());
    }

    fn reset(&self) {
        // A Unix socket has no such thing: it is reset by being closed with something unread.
        if let Self::Tcp(stream) = self {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

fn serve(target: &Target) {
    let mut stream = target;
    let mut first = [0; 1];
    if stream.read_exact(&mut first).is_err() {
        return;
    }
    if !(ECHO..=RESET).contains(&first[0]) {
        let _ = stream.write_all(&first).and_then(|()| echo(stream));
        return;
    }
    let mut order = [0; 8];
    if stream.read_exact(&mut order).is_err() {
        return;
    }
    let number =
        |from: usize| u32::from_be_bytes(order[from..from + 4].try_into().unwrap()) as usize;
    let (at, count) = (number(0), number(4));
    // An error is a client or a bridge that has left, of which the client tells.
    let _ = match first[0] {
        ECHO => echo(stream),
        UP => hear(stream, at, count).and_then(|right| agree(stream, right)),
        DOWN => say(stream, at, count).map(|()| stream.end()),
        BOTH => thread::scope(|scope| {
            let saying = scope.spawn(|| say(stream, at, count));
            let right = hear(stream, at, count)?;
            saying.join().unwrap()?;
            agree(stream, right)
        }),
        _ => say(stream, at, count).map(|()| stream.reset()),
    };
}

fn echo(mut stream: &Target) -> io::Result<()> {
    let mut room = [0; 16 * 1024];
    while let size @ 1.. = stream.read(&mut room)? {
        stream.write_all(&room[..size])?;
    }
    Ok(())
}

fn say(mut stream: &Target, at: usize, count: usize) -> io::Result<()> {
    let mut said = 0;
    while said < count {
        let piece = expected(at + said, count - said);
        stream.write_all(piece)?;
        said += piece.len();
    }
    Ok(())
}

/// Whether what the client says is right; one that leaves is not judged.
fn hear(mut stream: &Target, at: usize, count: usize) -> io::Result<bool> {
    let mut room = [0; 16 * 1024];
    let (mut heard, mut right) = (0, true);
    while heard < count {
        let most = room.len().min(count - heard);
        let size = stream.read(&mut room[..most])?;
        if size == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Err(what) = bytes::check(at + heard, &room[..size]) {
            COUNTS.wrong(&format!("at the target: {what}"));
            right = false;
        }
        COUNTS.right(size);
        heard += size;
    }
    Ok(right)
}

/// Says so, and waits for the client to leave.
fn agree(mut stream: &Target, right: bool) -> io::Result<()> {
    stream.write_all(if right { b"R" } else { b"W" })?;
    stream.read(&mut [0]).map(|_| ())
}
