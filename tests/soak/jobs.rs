//! What clients come for.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::bytes::{BYTES, expected};
use crate::counts::COUNTS;
use crate::link::{Fault, Link, Session, wrong};
use crate::target::{BOTH, DOWN, ECHO, RESET, UP, order};
use crate::{Random, is_resting, websocket};

/// The size of the page.
pub(crate) const PAGE: usize = 100_003;

/// The largest stream one way.
const STREAM: usize = 1 << 20;

const STAMPS: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Some messages there and back.
    Echo,
    Up,
    Down,
    Both,
    /// A stamp each second, for up to a minute.
    Idle,
    /// Asks for much, reads nothing and leaves.
    Stalled,
    /// Has a target that resets the connection.
    Reset,
    /// Has one file, or asks how we are.
    Page,
    /// Is not let in.
    Stranger,
    /// Connects and leaves.
    Touch,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Echo,
        Self::Up,
        Self::Down,
        Self::Both,
        Self::Idle,
        Self::Stalled,
        Self::Reset,
        Self::Page,
        Self::Stranger,
        Self::Touch,
    ];

    /// Echoes and pages are most of it, as they are in life.
    pub(crate) fn any(random: &mut Random) -> Self {
        let further = random.below(2 * Self::ALL.len() as u64);
        let among = usize::try_from(further).unwrap();
        *Self::ALL.get(among).unwrap_or(if among % 2 == 0 {
            &Self::Echo
        } else {
            &Self::Page
        })
    }

    pub(crate) fn run(self, port: u16, tls: bool, random: &mut Random) -> Result<(), Fault> {
        let (at, count) = (
            usize::try_from(random.below(1 << 20)).unwrap(),
            random.size(STREAM),
        );
        match self {
            Self::Page => return page(port, tls, random),
            Self::Stranger => return stranger(port, tls, random),
            Self::Touch => return Link::connect(port).map(drop),
            _ => {}
        }
        let mut session = Session::open(port, tls, random)?;
        match self {
            Self::Up => {
                session.send(&order(UP, at, count))?;
                pour(at, count, |piece| session.send(piece))?;
                agreed(&mut session)?;
                session.leave(random)
            }
            Self::Down => {
                session.send(&order(DOWN, at, count))?;
                session.expect(at, count)?;
                session.expect_close(1000)
            }
            Self::Both => {
                both(&mut session, at, count)?;
                agreed(&mut session)?;
                session.leave(random)
            }
            Self::Stalled => {
                session.send(&order(DOWN, at, 8 * STREAM))?;
                session.take(1)?;
                thread::sleep(STAMPS);
                session.link.reset();
                Ok(())
            }
            Self::Reset => {
                session.send(&order(RESET, at, 10))?;
                session.expect_reset(at)
            }
            _ => {
                session.send(&order(ECHO, 0, 0))?;
                echo(&mut session, matches!(self, Self::Idle), random)?;
                session.leave(random)
            }
        }
    }
}

fn pour<E>(at: usize, count: usize, mut send: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut sent = 0;
    while sent < count {
        // All lengths of a header.
        let size = [1, 125, 126, 4000, 65_535, 65_536][sent % 6].min(count - sent);
        let piece = expected(at + sent, size);
        send(piece)?;
        sent += piece.len();
    }
    Ok(())
}

/// The target found all of it right.
fn agreed(session: &mut Session) -> Result<(), Fault> {
    match &session.take(1)?[..] {
        b"R" => Ok(()),
        _ => wrong("the target got something else"),
    }
}

/// Inside TLS one way after the other, and no more than what waits on the way.
fn both(session: &mut Session, at: usize, count: usize) -> Result<(), Fault> {
    let Some(mut writer) = session.writer() else {
        let count = count.min(64 * 1024);
        session.send(&order(BOTH, at, count))?;
        pour(at, count, |piece| session.send(piece))?;
        return session.expect(at, count);
    };
    session.send(&order(BOTH, at, count))?;
    thread::scope(|scope| {
        // What goes wrong there, the reader sees.
        scope.spawn(|| pour(at, count, |piece| writer.put(piece)));
        session.expect(at, count)
    })
}

fn echo(session: &mut Session, idle: bool, random: &mut Random) -> Result<(), Fault> {
    for _ in 0..=random.below(if idle { 60 } else { 6 }) {
        let (at, size) = (
            random.below(1 << 20),
            random.size(if idle { 16 } else { 70_000 }),
        );
        let at = usize::try_from(at).unwrap();
        let piece = expected(at, size);
        let began = Instant::now();
        session.send(piece)?;
        session.expect(at, piece.len())?;
        COUNTS.echo_took(u64::try_from(began.elapsed().as_millis()).unwrap());
        if idle && is_resting() {
            break;
        }
        if idle {
            thread::sleep(STAMPS);
        }
    }
    Ok(())
}

fn page(port: u16, tls: bool, random: &mut Random) -> Result<(), Fault> {
    let mut link = Link::open(port, tls, random)?;
    let (path, wanted) = [
        ("page", Some(&BYTES[..PAGE])),
        ("health", None),
        ("metrics", None),
    ][usize::try_from(random.below(3)).unwrap()];
    let answer = ask(
        &mut link,
        &format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )?;
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return wrong(format!("/{path}: {:?}", answer.get(..40)));
    }
    match wanted {
        Some(body) if !answer.ends_with(body) => {
            wrong(format!("{} bytes of the page", answer.len()))
        }
        _ => {
            COUNTS.right(answer.len());
            Ok(())
        }
    }
}

fn ask(link: &mut Link, request: &str) -> Result<Vec<u8>, Fault> {
    let mut answer = Vec::new();
    let asked = link.write_all(request.as_bytes());
    if asked.and_then(|()| link.read_to_end(&mut answer)).is_err() || answer.is_empty() {
        return Err(Fault::Unanswered);
    }
    Ok(answer)
}

/// Each is told in its own way.
fn stranger(port: u16, tls: bool, random: &mut Random) -> Result<(), Fault> {
    let broken: (&[u8], u16) = match random.below(5) {
        0 => {
            let mut link = Link::open(port, tls, random)?;
            return match websocket::open(&mut link, "/?token=nobody", "binary") {
                Ok(404) => Ok(()),
                Ok(status) => wrong(format!("status {status} for an unknown token")),
                Err(_) => Err(Fault::Unanswered),
            };
        }
        1 => {
            let mut link = Link::open(port, tls, random)?;
            let answer = ask(&mut link, "What is this?\r\n\r\n")?;
            return match answer.starts_with(b"HTTP/1.1 400 ") {
                true => Ok(()),
                false => wrong(format!("{:?} for nonsense", answer.get(..40))),
            };
        }
        2 => {
            // Leaves in the middle.
            let mut link = Link::open(port, tls, random)?;
            let _ = link.write_all(b"GET /?token=port HTTP/1.1\r\nHost: ");
            return Ok(());
        }
        // A frame without a mask, and one of text in a session that is none.
        3 => (&[0x82, 1, b'x'], 1002),
        _ => (&[0x83, 0x81, 0, 0, 0, 0, b'x'], 1002),
    };
    let mut session = Session::open(port, tls, random)?;
    match session.link.write_all(broken.0) {
        Ok(()) => session.expect_close(broken.1),
        Err(_) => Err(Fault::Lost(None)),
    }
}
