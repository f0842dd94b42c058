//! Servers that know tokens, and hang or break off.

use std::io::{Read, Write, copy};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{Neighbour, PROMPT};
use crate::backend;
use crate::bridge::{Bridge, free_port};
use crate::tokens::{self, head, redis};
use crate::wire::Wire;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answers,
    /// Takes the question, and that is all.
    Hangs,
    /// Resets the connection in the middle of the answer's head.
    Resets,
    /// Says how long the answer is, and ends before that.
    BreaksOff,
}

/// An HTTP server for which every token leads to `target`.
fn server(target: SocketAddr, mood: &Arc<Mutex<Mood>>) -> SocketAddr {
    let mood = Arc::clone(mood);
    backend::serve(move |mut stream| {
        while ask(&mut stream) {
            let text = target.to_string();
            let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            let mood = *mood.lock().unwrap();
            match mood {
                Mood::Answers => stream.write_all((length + &text).as_bytes()).unwrap(),
                Mood::Hangs => drop(stream.read(&mut [0])),
                Mood::Resets => {
                    stream.write_all(&length.as_bytes()[..20]).unwrap();
                    let now = Some(Duration::ZERO);
                    return SockRef::from(&stream).set_linger(now).unwrap();
                }
                Mood::BreaksOff => {
                    return stream.write_all((length + &text[..4]).as_bytes()).unwrap();
                }
            }
        }
    })
}

/// Reads a request; false at the end.
fn ask(stream: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.extend(byte),
            _ => return false,
        }
    }
    true
}

/// What is between a bridge and its Redis.
fn between(redis: u16, mood: &Arc<Mutex<Mood>>) -> SocketAddr {
    let mood = Arc::clone(mood);
    backend::serve(move |mut client| {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, redis)).unwrap();
        let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let _ = copy(&mut asks, &mut asked);
            let _ = asked.shutdown(Shutdown::Both);
        });
        let mut buffer = [0; 4096];
        while let Ok(size @ 1..) = server.read(&mut buffer) {
            let mood = *mood.lock().unwrap();
            let part = match mood {
                Mood::Answers => size,
                Mood::Hangs => 0,
                // Not a whole one of the several that may be here.
                Mood::Resets | Mood::BreaksOff => 2,
            };
            client.write_all(&buffer[..part]).unwrap();
            match mood {
                Mood::Answers | Mood::Hangs => {}
                Mood::Resets => {
                    let now = Some(Duration::ZERO);
                    return SockRef::from(&client).set_linger(now).unwrap();
                }
                Mood::BreaksOff => return,
            }
        }
    })
}

#[test]
fn an_http_server_that_hangs_or_breaks_off_costs_new_sessions_a_503() {
    let mood = Arc::new(Mutex::new(Mood::Answers));
    let source = format!("http://{}/%s", server(backend::echo(), &mood));
    let bridge = tokens::bridge("BaseTokenAPI", Path::new(&source), &[]);
    costs_new_sessions_a_503(&bridge, &mood);
}

#[test]
fn a_redis_that_hangs_or_breaks_off_costs_new_sessions_a_503() {
    let port = free_port();
    let server = redis::Server::on(port, &[]);
    for token in ["one", "two"] {
        server.tell(&["SET", token, &backend::echo().to_string()]);
    }
    let mood = Arc::new(Mutex::new(Mood::Answers));
    let source = between(port, &mood).to_string();
    let bridge = tokens::bridge("TokenRedis", Path::new(&source), &[]);
    costs_new_sessions_a_503(&bridge, &mood);
}

fn costs_new_sessions_a_503(bridge: &Bridge, mood: &Mutex<Mood>) {
    let neighbour = Neighbour::at(bridge.addr(), &head("/?token=one"));
    for bad in [Mood::Resets, Mood::BreaksOff, Mood::Hangs] {
        *mood.lock().unwrap() = bad;
        let began = Instant::now();
        // More than may ask at once.
        let ask = |_| {
            let mut wire = Wire::connect(bridge.addr());
            wire.send(head("/?token=two") + "\r\n");
            wire
        };
        let mut clients: Vec<Wire> = (0..24).map(ask).collect();
        for client in &mut clients {
            assert_eq!(client.response().status, 503, "{bad:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{bad:?}");
        neighbour.goes_on();
        *mood.lock().unwrap() = Mood::Answers;
        drop(tokens::opened(bridge, "/?token=two"));
    }
    neighbour.ends(PROMPT);
}
