//! Targets for the bridge. Each serves any number of connections until the test program ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::process::DEADLINE;

/// What a target heard, one item for each connection that ended.
pub(crate) type Heard = mpsc::Receiver<Vec<u8>>;

/// Says back what it hears.
pub(crate) fn echo() -> SocketAddr {
    serve(echo_on)
}

/// Like [`echo`], on a Unix socket at `path`.
pub(crate) fn echo_at(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A TcpStream reads and writes any stream socket, so one echo serves both kinds.
            let stream = TcpStream::from(OwnedFd::from(stream.unwrap()));
            thread::spawn(move || echo_on(stream));
        }
    });
}

/// Says `bytes` and closes.
pub(crate) fn say(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serve(move |mut stream| stream.write_all(&bytes).unwrap())
}

/// Hears everything up to the end of file, tells the test, and only then answers and closes.
pub(crate) fn hear(answer: &'static str) -> (SocketAddr, Heard) {
    let (tell, heard) = mpsc::channel();
    let addr = serve(move |mut stream| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = tell.send(bytes);
        let _ = stream.write_all(answer.as_bytes());
    });
    (addr, heard)
}

/// Waits for a first byte and resets the connection.
pub(crate) fn reset() -> SocketAddr {
    serve(|mut stream| {
        let _ = stream.read(&mut [0]);
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    })
}

/// An address that refuses connections for as long as the socket beside it lives: the port is
/// taken, so nobody else gets it, but nobody listens.
pub(crate) fn refuse() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (addr, socket)
}

/// Gives each connection to `talk` on a thread of its own.
pub(crate) fn serve(talk: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    serve_on((Ipv4Addr::LOCALHOST, 0).into(), talk)
}

/// Like [`serve`], on an address of the test's choice.
pub(crate) fn serve_on(
    addr: SocketAddr,
    talk: impl Fn(TcpStream) + Clone + Send + 'static,
) -> SocketAddr {
    serve_by(TcpListener::bind(addr).unwrap(), talk)
}

/// Has the socket of [`refuse`] serve from now on: its port is never free in between.
pub(crate) fn serve_after_all(
    refusing: Socket,
    talk: impl Fn(TcpStream) + Clone + Send + 'static,
) -> SocketAddr {
    refusing.listen(128).unwrap();
    serve_by(refusing.into(), talk)
}

fn serve_by(
    listener: TcpListener,
    talk: impl Fn(TcpStream) + Clone + Send + 'static,
) -> SocketAddr {
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, talk) = (stream.unwrap(), talk.clone());
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            thread::spawn(move || talk(stream));
        }
    });
    addr
}

/// Returns at the end of file, or when the other side is gone.
pub(crate) fn echo_on(mut stream: TcpStream) {
    let mut buffer = vec![0; 65536];
    loop {
        match stream.read(&mut buffer) {
            Ok(n @ 1..) if stream.write_all(&buffer[..n]).is_ok() => {}
            // The kernel may interrupt a read that has a time limit.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// What the next connection heard, when it has ended.
pub(crate) fn next(heard: &Heard) -> Vec<u8> {
    heard.recv_timeout(DEADLINE).unwrap()
}
