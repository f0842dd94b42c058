//! A crowd of clients and their target in one process, and what a bridge between them costs:
//!
//!     crowd PID BRIDGE[,BRIDGE]… TARGET idle SESSIONS
//!     crowd PID BRIDGE[,BRIDGE]… TARGET busy SESSIONS SECONDS PAUSE_MS
//!     crowd PID BRIDGE[,BRIDGE]… TARGET rate A_SECOND SECONDS
//!     crowd PID BRIDGE[,BRIDGE]… TARGET burst SESSIONS
//!     crowd PID BRIDGE[,BRIDGE]… TARGET fair SECONDS
//!
//! PID is the bridge's. Clients go to each BRIDGE, host:port, in turn, because one address has 28000
//! ports towards it; TARGET, host:port, is where we listen for the bridge. docs/SCALING.md has what it
//! found.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "it is the bridge's client and its target, and ends at the first thing that is wrong"
)]

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinSet, spawn};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Sessions that are opened at once.
const DOORS: usize = 64;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[tokio::main]
async fn main() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let words: Vec<String> = env::args().skip(1).collect();
    let [pid, bridges, target, mode, numbers @ ..] = &words[..] else {
        panic!("the first lines of this program say how it is called");
    };
    let number = |at: usize| numbers[at].parse::<usize>().unwrap();
    serve(target.parse().unwrap());
    let crowd = Arc::new(Crowd {
        bridge: pid.parse().unwrap(),
        doors: bridges.split(',').map(|it| it.parse().unwrap()).collect(),
        next: AtomicUsize::new(0),
    });
    match mode.as_str() {
        "idle" => crowd.idle(number(0)).await,
        "busy" => {
            let pause = Duration::from_millis(number(2) as u64);
            crowd.busy(number(0), seconds(number(1)), pause).await;
        }
        "rate" => crowd.rate(number(0), number(1)).await,
        "burst" => crowd.burst(number(0)).await,
        "fair" => crowd.fair(seconds(number(0))).await,
        other => panic!("no such mode: {other}"),
    }
}

struct Crowd {
    bridge: u32,
    doors: Vec<SocketAddr>,
    next: AtomicUsize,
}

impl Crowd {
    /// A session whose target does what `job` says: see [`talk`].
    async fn open(&self, job: u8) -> io::Result<Session> {
        let door = self.doors[self.next.fetch_add(1, Ordering::Relaxed) % self.doors.len()];
        let mut stream = TcpStream::connect(door).await?;
        stream.set_nodelay(true)?;
        let request = "GET / HTTP/1.1\r\nHost: crowd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: binary\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::with_capacity(256);
        // Not a byte too many, and the target says nothing before its job.
        while !head.ends_with(b"\r\n\r\n") {
            let read = stream.read_buf(&mut head).await?;
            if read == 0 || head.len() > 4096 || !head.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other(
                    String::from_utf8_lossy(&head).into_owned(),
                ));
            }
        }
        let mut session = Session { stream };
        session.send(&[job]).await?;
        if job == b'E' {
            session.expect(&[job]).await?;
        }
        Ok(session)
    }

    async fn open_many(self: &Arc<Self>, count: usize, job: u8) -> Vec<Session> {
        let mut opening = JoinSet::new();
        let mut open = Vec::with_capacity(count);
        let mut begun = 0;
        while open.len() < count {
            while begun < count && opening.len() < DOORS {
                let crowd = self.clone();
                opening.spawn(async move { crowd.open(job).await });
                begun += 1;
            }
            open.push(opening.join_next().await.unwrap().unwrap().unwrap());
        }
        open
    }

    /// What sessions cost that do nothing, and one echo among so many.
    async fn idle(self: &Arc<Self>, most: usize) {
        let mut open = self.open_many(20, b'E').await;
        sleep(seconds(1)).await;
        let before = Usage::of(self.bridge);
        println!("sessions  KiB-each  kernel-KiB-each  open-us  echo-us  RSS-KiB  load");
        let steps = [
            100, 300, 1000, 3000, 5000, 9900, 10_000, 20_000, 30_000, 40_000, 50_000,
        ];
        for step in steps.into_iter().filter(|step| *step <= most) {
            let (opening, had) = (Usage::of(self.bridge), open.len());
            open.extend(self.open_many(step - had, b'E').await);
            let opened = Usage::of(self.bridge);
            sleep(seconds(1)).await;
            let (now, count) = (Usage::of(self.bridge), (open.len() - 20) as f64);
            let echoes = 4000;
            for at in 0..echoes {
                let len = open.len();
                open[at * 7919 % len]
                    .echo(b"sixteen bytes...")
                    .await
                    .unwrap();
            }
            let echoed = Usage::of(self.bridge);
            println!(
                "{:8}  {:8.2}  {:15.2}  {:7.0}  {:7.1}  {:7}  {}",
                open.len(),
                (now.pss - before.pss) / count,
                (now.slab - before.slab) / count,
                (opened.cpu - opening.cpu) * 1e6 / (open.len() - had) as f64,
                (echoed.cpu - now.cpu) * 1e6 / echoes as f64,
                now.rss,
                load(),
            );
        }
        drop(open);
        self.afterwards(&before).await;
    }

    /// What is left of memory when all have gone.
    async fn afterwards(&self, before: &Usage) {
        let peak = Usage::of(self.bridge);
        for _ in 0..3 {
            sleep(seconds(5)).await;
            let now = Usage::of(self.bridge);
            println!(
                "RSS before {} KiB, peak {} KiB, now {} KiB; the bridge has {} descriptors",
                before.rss, peak.peak, now.rss, now.files
            );
        }
    }

    /// Round trips of all at once, each after a pause.
    async fn busy(self: &Arc<Self>, sessions: usize, time: Duration, pause: Duration) {
        let open = self.open_many(sessions, b'E').await;
        let (before, end) = (Usage::of(self.bridge), Instant::now() + time);
        let mut talking = JoinSet::new();
        for mut session in open {
            talking.spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < end {
                    let began = Instant::now();
                    session.echo(&[7; 64]).await.unwrap();
                    took.push(began.elapsed());
                    sleep(pause).await;
                }
                took
            });
        }
        let mut took = Vec::new();
        while let Some(one) = talking.join_next().await {
            took.extend(one.unwrap());
        }
        let after = Usage::of(self.bridge);
        println!(
            "{sessions} sessions, {} echoes of 64 B in {:?}: {:.1} CPU us each, {}; RSS {} KiB, load {}",
            took.len(),
            time,
            (after.cpu - before.cpu) * 1e6 / took.len() as f64,
            percentiles(&mut took),
            after.rss,
            load()
        );
    }

    /// So many new sessions in each second, an echo and an end for each.
    async fn rate(self: &Arc<Self>, a_second: usize, time: usize) {
        let before = Usage::of(self.bridge);
        let tick = Duration::from_millis(10);
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut coming = JoinSet::new();
        let began = Instant::now();
        for _ in 0..time * 100 {
            ticks.tick().await;
            for _ in 0..a_second / 100 {
                let crowd = self.clone();
                coming.spawn(async move {
                    let began = Instant::now();
                    let whole = async {
                        let mut session = crowd.open(b'E').await?;
                        session.echo(b"hello").await?;
                        session.close().await
                    };
                    let done = timeout(seconds(10), whole).await;
                    done.unwrap_or(Err(ErrorKind::TimedOut.into()))
                        .map(|()| began.elapsed())
                });
            }
        }
        let (mut took, mut failed) = (Vec::new(), 0);
        while let Some(one) = coming.join_next().await {
            match one.unwrap() {
                Ok(time) => took.push(time),
                Err(error) => {
                    failed += 1;
                    if failed < 4 {
                        println!("failed: {error}");
                    }
                }
            }
        }
        let after = Usage::of(self.bridge);
        println!(
            "{} sessions came and went in {:.1} s, {failed} failed: {:.0} CPU us each, {}; RSS {} KiB, load {}",
            took.len(),
            began.elapsed().as_secs_f64(),
            (after.cpu - before.cpu) * 1e6 / took.len() as f64,
            percentiles(&mut took),
            after.rss,
            load()
        );
    }

    /// Sessions that each have more waiting than their client reads, and end.
    async fn burst(self: &Arc<Self>, sessions: usize) {
        let before = Usage::of(self.bridge);
        let open = self.open_many(sessions, b'P').await;
        sleep(seconds(2)).await;
        let full = Usage::of(self.bridge);
        println!(
            "{sessions} stalled sessions: RSS {} KiB, load {}",
            full.rss,
            load()
        );
        drop(open);
        self.afterwards(&before).await;
    }

    /// One session's round trips, alone and beside others.
    async fn fair(self: &Arc<Self>, time: Duration) {
        for (what, floods) in [
            ("nobody", 0),
            ("one that sends frames of 1 MiB", 1),
            ("one whose target sends", 1),
            ("one that sends frames of 1 byte", 1),
            ("nobody", 0),
        ] {
            let mut flooding = JoinSet::new();
            for _ in 0..floods {
                let crowd = self.clone();
                flooding.spawn(async move { crowd.flood(what).await });
            }
            let mut session = self.open(b'E').await.unwrap();
            let end = Instant::now() + time;
            let mut took = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                session.echo(b"a key").await.unwrap();
                took.push(began.elapsed());
                sleep(Duration::from_millis(1)).await;
            }
            flooding.shutdown().await;
            println!("beside {what}: {}, load {}", percentiles(&mut took), load());
        }
    }

    async fn flood(&self, what: &str) {
        let job = if what.contains("target") { b'P' } else { b'S' };
        let mut session = self.open(job).await.unwrap();
        if job == b'P' {
            let mut buffer = vec![0; 256 * 1024];
            while session
                .stream
                .read(&mut buffer)
                .await
                .is_ok_and(|it| it > 0)
            {}
            return;
        }
        let frames = if what.contains("MiB") {
            framed(&vec![1; 1 << 20])
        } else {
            framed(b"x").repeat(10_000)
        };
        while session.stream.write_all(&frames).await.is_ok() {}
    }
}

struct Session {
    stream: TcpStream,
}

impl Session {
    async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&framed(payload)).await
    }

    /// What the target says next, in one frame or several.
    async fn expect(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut rest = payload;
        while !rest.is_empty() {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).await?;
            let len = usize::from(head[1]);
            let mut got = [0; 125];
            let got = &mut got[..len];
            self.stream.read_exact(got).await?;
            if head[0] != 0x82 || !rest.starts_with(got) {
                return Err(io::Error::other(format!("not an echo: {head:?} {got:?}")));
            }
            rest = &rest[len..];
        }
        Ok(())
    }

    async fn echo(&mut self, payload: &[u8]) -> io::Result<()> {
        self.send(payload).await?;
        self.expect(payload).await
    }

    async fn close(mut self) -> io::Result<()> {
        self.stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await?;
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await?;
        if rest.first() != Some(&0x88) {
            return Err(io::Error::other(format!("no close frame: {rest:?}")));
        }
        Ok(())
    }
}

/// One binary frame of a client (RFC 6455, 5.2).
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ ..65536 => {
            frame.push(0xfe);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0xff);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

fn serve(address: SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(4096).unwrap();
    spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            spawn(async move {
                let _ = talk(stream).await;
            });
        }
    });
}

/// The target: echoes after an `E`, hears after an `S`, and pushes after a `P`. No buffer is held while
/// it waits.
async fn talk(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut job = 0;
    loop {
        stream.readable().await?;
        match turn(&stream, &mut job) {
            Ok(0) => return Ok(()),
            Ok(_) if job == b'P' => return push(stream).await,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

fn turn(stream: &TcpStream, job: &mut u8) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let read = stream.try_read(&mut buffer)?;
    if *job == 0 {
        *job = buffer[0];
    }
    if *job == b'E' {
        // Small ones fit.
        assert_eq!(stream.try_write(&buffer[..read])?, read);
    }
    Ok(read)
}

async fn push(mut stream: TcpStream) -> io::Result<()> {
    static BYTES: [u8; 256 * 1024] = [3; 256 * 1024];
    loop {
        stream.write_all(&BYTES).await?;
    }
}

/// What the bridge has used so far; sizes in KiB.
struct Usage {
    cpu: f64,
    pss: f64,
    rss: u64,
    peak: u64,
    slab: f64,
    files: usize,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let read = |name: &str| fs::read_to_string(name).unwrap();
        let value = |text: &str, name: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let stat = read(&format!("/proc/{pid}/stat"));
        let times: Vec<f64> = (stat.rsplit(')').next().unwrap().split_whitespace())
            .skip(11)
            .take(2)
            .map(|it| it.parse().unwrap())
            .collect();
        let status = read(&format!("/proc/{pid}/status"));
        Self {
            cpu: times.iter().sum::<f64>() / 100.0,
            pss: value(&read(&format!("/proc/{pid}/smaps_rollup")), "Pss:") as f64,
            rss: value(&status, "VmRSS:"),
            peak: value(&status, "VmHWM:"),
            slab: value(&read("/proc/meminfo"), "Slab:") as f64,
            files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        }
    }
}

fn percentiles(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!(
        "ms: p50 {:.2}, p99 {:.2}, p99.9 {:.2}, most {:.2}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap().to_owned()
}

fn seconds(count: usize) -> Duration {
    Duration::from_secs(count as u64)
}
