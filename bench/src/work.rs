//! The work itself. Every byte that comes back is compared with the one that has to come.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::lines::{Line, PACED_PER_SECOND, PACED_SESSIONS, PERMILLE, SESSIONS, Work};
use crate::pattern::Pattern;
use crate::peers::{Kind, Peer};
use crate::place::Place;
use crate::stats::median;
use crate::target::{Job, RIGHT};

/// A prime, so that no buffer's size divides it.
const PERIOD: u32 = 65521;

/// A client's writes hold so much, in frames of any size.
const WRITE: usize = 65536;

/// Bytes before the ones that are measured.
const WARM_UP: u64 = 2_000_000;

const MESSAGE: usize = 64;

/// How long a session keeps still before its memory is looked at.
const REST: Duration = Duration::from_millis(500);

/// How much of each work is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How long a stream or the messages take.
    pub(crate) time: Duration,
    /// How many idle sessions are held at the most.
    pub(crate) sessions: usize,
    /// How many starts make a figure.
    pub(crate) starts: usize,
}

/// The values of `line`'s figures for a peer that is started for it. What a peer cannot do is NaN.
pub(crate) fn measure(
    line: &Line,
    kind: Kind,
    place: &Place,
    effort: &Effort,
) -> io::Result<Vec<f64>> {
    if line.work == Work::Start {
        let starts = (0..effort.starts).map(|_| Ok(Peer::start(kind, place, line.tls)?.started));
        let (clock, processor): (Vec<_>, Vec<_>) =
            starts.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
        return Ok(vec![median(&clock) * 1e3, median(&processor) * 1e3]);
    }
    let peer = Peer::start(kind, place, line.tls)?;
    match line.work {
        Work::Down => stream(effort, |bytes| download(&peer, bytes)),
        Work::Up { frame } => stream(effort, |bytes| upload(&peer, bytes, frame)),
        Work::Echo => messages(effort, |time| echo(&peer, time)),
        Work::Connect => messages(effort, |time| connect(&peer, time)),
        Work::Paced => {
            paced(&peer, effort.time / 10)?;
            paced(&peer, effort.time)
        }
        Work::Idle => {
            let limit = effort.sessions.min(kind.most_sessions());
            // A handshake of TLS takes a millisecond.
            let limit = limit.min(if line.tls { 1000 } else { limit });
            idle(&peer, limit, effort.time.min(REST))
        }
        Work::Start => unreachable!("it is above"),
    }
    .inspect(|values| debug_assert_eq!(values.len(), line.figures.len()))
}

/// What it cost the peer, in seconds.
struct Spent {
    clock: f64,
    processor: f64,
    /// Bytes, or messages.
    amount: f64,
}

/// The cost of `work`, which returns how much it was.
fn spent(peer: &Peer, work: impl FnOnce() -> io::Result<f64>) -> io::Result<Spent> {
    let (begun, before) = (Instant::now(), peer.process.processor());
    let amount = work()?;
    Ok(Spent {
        clock: begun.elapsed().as_secs_f64(),
        processor: peer.process.processor() - before,
        amount,
    })
}

/// `Unit::CpuPerGb` and `Unit::MbPerSecond` of a stream that takes about the time that it is
/// given, behind two shorter ones that tell how long it has to be.
fn stream(effort: &Effort, run: impl Fn(u64) -> io::Result<Spent>) -> io::Result<Vec<f64>> {
    let mut bytes = WARM_UP;
    for time in [effort.time / 10, effort.time] {
        let warm = run(bytes)?;
        let enough = warm.amount * time.as_secs_f64() / warm.clock;
        bytes = WARM_UP.max(enough as u64);
    }
    let spent = run(bytes)?;
    Ok(vec![
        spent.processor / spent.amount * 1e9,
        spent.amount / 1e6 / spent.clock,
    ])
}

fn download(peer: &Peer, bytes: u64) -> io::Result<Spent> {
    let pattern = Pattern::new(PERIOD as usize);
    let mut connection = peer.open()?;
    spent(peer, || {
        let job = Job::Send {
            length: bytes,
            period: PERIOD,
        };
        connection.send(&job.to_bytes())?;
        let mut got = 0;
        while got < bytes {
            let data = connection.receive(usize::MAX)?;
            if !pattern.is_at(got, data) {
                return Err(io::Error::other(format!("wrong bytes after {got}")));
            }
            got += data.len() as u64;
        }
        Ok(bytes as f64)
    })
}

fn upload(peer: &Peer, bytes: u64, frame: usize) -> io::Result<Spent> {
    let mut connection = peer.open()?;
    // The pattern is four writes long, so that frames and writes that change places are seen.
    let period = WRITE / frame * frame * 4;
    let pattern = Pattern::new(period);
    let mut writes = Vec::new();
    for write in 0..4 {
        let mut prepared = Vec::new();
        for at in (write * period / 4..(write + 1) * period / 4).step_by(frame) {
            connection.put(pattern.at(at as u64, frame as u64), &mut prepared);
        }
        writes.push(prepared);
    }
    let count = bytes.div_ceil(period as u64 / 4);
    let length = count * (period as u64 / 4);
    spent(peer, || {
        let job = Job::Check {
            length,
            period: u32::try_from(period).map_err(io::Error::other)?,
        };
        connection.send(&job.to_bytes())?;
        for prepared in writes.iter().cycle().take(count as usize) {
            connection.send_prepared(prepared)?;
        }
        judge(&mut connection)?;
        Ok(length as f64)
    })
}

/// Waits for the target's word.
fn judge(connection: &mut Connection) -> io::Result<()> {
    match connection.receive(1)? {
        [RIGHT] => Ok(()),
        _ => Err(io::Error::other("the target got wrong bytes")),
    }
}

/// `Unit::CpuMicroseconds` of a message, or of what is done for one.
fn messages(effort: &Effort, run: impl Fn(Duration) -> io::Result<Spent>) -> io::Result<Vec<f64>> {
    run(effort.time / 10)?;
    let spent = run(effort.time)?;
    Ok(vec![spent.processor * 1e6 / spent.amount])
}

fn echo(peer: &Peer, time: Duration) -> io::Result<Spent> {
    let pattern = Pattern::new(PERIOD as usize);
    let mut connection = peer.open()?;
    connection.send(&Job::Echo.to_bytes())?;
    spent(peer, || {
        repeat(time, |count| round_trip(&mut connection, &pattern, count))
    })
}

fn connect(peer: &Peer, time: Duration) -> io::Result<Spent> {
    let pattern = Pattern::new(PERIOD as usize);
    spent(peer, || {
        repeat(time, |count| {
            let mut connection = peer.open_small()?;
            connection.send(&Job::Echo.to_bytes())?;
            round_trip(&mut connection, &pattern, count)
        })
    })
}

/// Does it again and again, at least once; returns how often.
fn repeat(time: Duration, mut work: impl FnMut(u32) -> io::Result<()>) -> io::Result<f64> {
    let begun = Instant::now();
    let mut count = 0;
    while count == 0 || begun.elapsed() < time {
        work(count)?;
        count += 1;
    }
    Ok(f64::from(count))
}

/// Sends the message number `count`, and returns when it came back.
fn round_trip(connection: &mut Connection, pattern: &Pattern, count: u32) -> io::Result<()> {
    let offset = u64::from(count) * MESSAGE as u64;
    connection.send(pattern.at(offset, MESSAGE as u64))?;
    let mut got = 0;
    while got < MESSAGE {
        let data = connection.receive(MESSAGE - got)?;
        if !pattern.is_at(offset + got as u64, data) {
            return Err(io::Error::other("another message came back"));
        }
        got += data.len();
    }
    Ok(())
}

/// `Unit::Microseconds` of round trips, of some sessions that keep a pace.
fn paced(peer: &Peer, time: Duration) -> io::Result<Vec<f64>> {
    let pause = Duration::from_secs(1) / PACED_PER_SECOND;
    let count = (time.as_secs_f64() * f64::from(PACED_PER_SECOND)) as u32;
    let pattern = Pattern::new(PERIOD as usize);
    let session = |mut connection: Connection, begin: Instant| -> io::Result<Vec<f64>> {
        connection.send(&Job::Echo.to_bytes())?;
        let mut took = Vec::new();
        for trip in 0..count.max(1) {
            let due = begin + pause * trip;
            let now = Instant::now();
            // What is late because of the one before has waited since it was due; what is late
            // because of our own sleep has not.
            let sent = if now < due {
                thread::sleep(due - now);
                Instant::now()
            } else {
                due
            };
            round_trip(&mut connection, &pattern, trip)?;
            took.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        Ok(took)
    };
    let connections = (0..PACED_SESSIONS)
        .map(|_| peer.open())
        .collect::<io::Result<Vec<_>>>()?;
    let begin = Instant::now() + Duration::from_millis(20);
    let mut took = thread::scope(|scope| {
        let threads: Vec<_> = std::iter::zip(0.., connections)
            .map(|(number, connection)| {
                // One after the other, not all at once.
                let begin = begin + pause * number / PACED_SESSIONS as u32;
                scope.spawn(move || session(connection, begin))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it returns its errors"))
            .collect::<io::Result<Vec<_>>>()
    })?
    .concat();
    took.sort_by(f64::total_cmp);
    Ok(PERMILLE
        .map(|permille| took[(took.len() - 1) * permille / 1000])
        .to_vec())
}

/// `Unit::KibPerSession`, then `Unit::Mib` with each number of [`SESSIONS`] up to `limit`.
fn idle(peer: &Peer, limit: usize, rest: Duration) -> io::Result<Vec<f64>> {
    // What the first session takes is there for all of them.
    drop(waiting(peer)?);
    let begun = at_rest(peer, rest)?;
    let mut held = Vec::new();
    let mut values = vec![f64::NAN];
    for step in SESSIONS {
        if step > limit {
            values.push(f64::NAN);
            continue;
        }
        while held.len() < step {
            held.push(waiting(peer)?);
        }
        let memory = at_rest(peer, rest)?;
        values[0] = (memory - begun) / step as f64;
        values.push(memory / 1024.0);
    }
    Ok(values)
}

fn waiting(peer: &Peer) -> io::Result<Connection> {
    let mut connection = peer.open_small()?;
    connection.send(&Job::Wait.to_bytes())?;
    judge(&mut connection)?;
    Ok(connection)
}

/// KiB of memory when nothing has come or gone for so long.
fn at_rest(peer: &Peer, rest: Duration) -> io::Result<f64> {
    thread::sleep(rest);
    peer.process.memory()
}
