//! Many sessions at once, what is left when they have gone, and one that takes all it can get.

use std::fs;
use std::io::{Read, Write, copy, sink};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::backend;
use crate::bridge::Bridge;
use crate::compat::flow::memory;
use crate::machine;
use crate::process::DEADLINE;
use crate::wire::{Frame, Ws};

const KIB: usize = 1 << 10;

/// Lets this program have so many files open; false where the machine does not.
fn may_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < files) {
        return false;
    }
    let current = limit.current.map(|current| current.max(files));
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).is_ok()
}

/// The processor time that all threads of a process have had.
pub(crate) fn processor_time(pid: i32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    // One may end meanwhile.
    let nanoseconds = threads.filter_map(|thread| {
        let schedule = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedule.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// What the bridge needs for an echo on each of them.
fn echoes(bridge: &Bridge, sessions: &mut [Ws], round: usize) -> Duration {
    let pid = bridge.pid().as_raw_pid();
    let before = processor_time(pid);
    for (number, session) in sessions.iter_mut().enumerate() {
        session.expect_echo(format!("{round}: {number}"));
    }
    processor_time(pid).saturating_sub(before)
}

#[test]
fn two_thousand_sessions_cost_little_each_and_nothing_when_they_have_gone() {
    if !may_open(8000) {
        let test = "scale::two_thousand_sessions_cost_little_each_and_nothing_when_they_have_gone";
        return machine::skip(test, "the limit of open files is too low");
    }
    let target = backend::serve(|stream| {
        // Most of them wait for as long as it takes to open the others.
        stream.set_read_timeout(None).unwrap();
        backend::echo_on(stream);
    });
    let bridge = Bridge::start(&["--verbose", "127.0.0.1:{port}", &target.to_string()]);
    let pid = bridge.pid().as_raw_pid();
    let empty = memory(pid);
    let open = |count| (0..count).map(|_| Ws::open(bridge.addr()));
    let mut sessions: Vec<Ws> = open(200).collect();
    let few: Duration = (0..5)
        .map(|round| echoes(&bridge, &mut sessions, round))
        .sum();
    let before = memory(pid);
    sessions.extend(open(1800));
    let many: Duration = echoes(&bridge, &mut sessions, 5);
    let full = memory(pid);
    let each = full.saturating_sub(before) / 1800;
    assert!(each < 8 * KIB, "{each} bytes for each session");
    let (few, many) = (few / 1000, many / 2000);
    assert!(
        many < 4 * few,
        "an echo among 2000 needs {many:?}, among 200 {few:?}"
    );
    drop(sessions);
    // All at once, or in two parts.
    bridge.wait_for_line(|line| line.ends_with(" connections have gone: memory given back"));
    bridge.wait_until("return of memory", |_| {
        (memory(pid).saturating_sub(empty) < (full - empty) / 2).then_some(())
    });
}

/// On one processor, where there is no other thread to go on with the others.
#[test]
fn a_session_in_bulk_leaves_its_neighbours_their_turns() {
    let target = backend::serve(|mut stream| {
        let mut first = [0];
        match stream.read(&mut first) {
            Ok(1) if first == *b"p" => while stream.write_all(&[1; 256 * KIB]).is_ok() {},
            Ok(1) if first == *b"s" => drop(copy(&mut stream, &mut sink())),
            _ => backend::echo_on(stream),
        }
    });
    let allowed = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu));
    let first = first.unwrap().to_string();
    let bridge = Bridge::start_under(
        &["taskset", "--cpu-list", &first],
        &["127.0.0.1:{port}", &target.to_string()],
    );
    let mut neighbour = Ws::open(bridge.addr());
    neighbour.send(&Frame::binary("e"));
    let kinds = [
        ("p", Vec::new()),
        ("s", Frame::binary(vec![2; 1024 * KIB]).encode()),
        ("s", Frame::binary("x").encode().repeat(10_000)),
        ("s", Frame::pong("").encode().repeat(10_000)),
    ];
    for (job, frames) in kinds {
        let mut bulk = Ws::open(bridge.addr());
        bulk.send(&Frame::binary(job));
        let stream = bulk.wire.stream().try_clone().unwrap();
        let (tell, under_way) = mpsc::channel();
        let flood = thread::spawn(move || flood(stream, &frames, &tell));
        under_way.recv_timeout(DEADLINE).unwrap();
        // What the bridge does before it comes to the neighbour: its processor's time, because how
        // long that takes is also others' affair.
        let pid = bridge.pid().as_raw_pid();
        let mut took: Vec<Duration> = (0..30)
            .map(|number| {
                let before = processor_time(pid);
                neighbour.expect_echo(format!("{job} {number}"));
                processor_time(pid).saturating_sub(before)
            })
            .collect();
        took.sort_unstable();
        let [median, most] = [took[15], took[29]];
        assert!(
            median < Duration::from_millis(250),
            "{job}: {median:?}, {most:?} at most"
        );
        let _ = bulk.wire.stream().shutdown(Shutdown::Both);
        flood.join().unwrap();
    }
}

/// Writes frames over and over, or, if there are none, reads; tells when the first have gone.
fn flood(mut stream: TcpStream, frames: &[u8], tell: &mpsc::Sender<()>) {
    let mut buffer = vec![0; 1024 * KIB];
    loop {
        let gone = if frames.is_empty() {
            stream.read_exact(&mut buffer)
        } else {
            stream.write_all(frames)
        };
        if gone.is_err() {
            return;
        }
        let _ = tell.send(());
    }
}
