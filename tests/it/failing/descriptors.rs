//! No descriptor is left (EMFILE), for each thing that takes one.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Neighbour, PROMPT, leave, leave_all, leave_none, told};
use crate::backend;
use crate::bridge::Bridge;
use crate::helper::{self, Helper};
use crate::scale::processor_time;
use crate::service::Service;
use crate::tokens;
use crate::wire::{Wire, Ws};

const FEW: &str = "Too many open files";

/// Whoever waits in the kernel's queue is not looked at again and again.
#[test]
fn those_who_wait_cost_no_processor_time() {
    let bridge = Bridge::to(&backend::echo());
    let neighbour = Neighbour::beside(bridge.addr());
    let pid = bridge.pid().as_raw_pid();
    let work = |rounds| {
        let before = processor_time(pid);
        neighbour.goes_on_for(rounds);
        processor_time(pid).saturating_sub(before)
    };
    let quiet = work(150);
    leave(bridge.pid(), 0);
    let waiting: Vec<Wire> = (0..50).map(|_| Wire::connect(bridge.addr())).collect();
    bridge.wait_for_line(|line| line.starts_with("cannot accept on ") && line.contains(FEW));
    let short = work(150);
    // A loop without a pause takes all of a processor: for half a second, by the messages' pauses.
    assert!(
        short < 2 * quiet + Duration::from_millis(100),
        "{short:?}, and {quiet:?} where nobody waits"
    );
    leave_all(bridge.pid());
    for wire in waiting {
        Ws::upgrade(wire).expect_echo("after");
    }
    assert_eq!(told(&bridge.stderr(), "cannot accept"), 1);
    neighbour.ends(PROMPT);
}

#[test]
fn a_target_that_takes_the_last_one_too_many_is_one_sessions_affair() {
    let bridge = Bridge::to(&backend::echo());
    let neighbour = Neighbour::beside(bridge.addr());
    neighbour.goes_on();
    leave(bridge.pid(), 1);
    let failed = "1011 Failed to connect to downstream server";
    assert_eq!(Ws::open(bridge.addr()).close(), failed);
    bridge.wait_for_line(|line| line.starts_with("cannot connect to ") && line.contains(FEW));
    leave_all(bridge.pid());
    Ws::open(bridge.addr()).expect_echo("after");
    neighbour.ends(PROMPT);
}

/// What it needs a descriptor for is the memory that the next process would find its state in.
#[test]
fn a_session_that_cannot_be_kept_is_served_all_the_same() {
    let mut service = Service::start(&["--verbose", &backend::echo().to_string()]);
    let mut kept = Ws::open(service.addr());
    kept.expect_echo("before");
    service.wait_for_stored(1);
    leave(service.process().pid(), 2);
    let mut unkept = Ws::open(service.addr());
    unkept.expect_echo("here");
    service
        .process()
        .wait_for_line(|line| line.contains(" is not kept: ") && line.contains(FEW));
    unkept.expect_echo("still here");
    leave_all(service.process().pid());
    let mut next = Ws::open(service.addr());
    next.expect_echo("kept again");
    service.wait_for_stored(2);
    service.restart(|| ());
    kept.expect_echo("after");
    next.expect_echo("after");
    assert_eq!(unkept.close(), "1001 Server shutting down");
}

#[test]
fn tokens_that_could_not_be_read_are_read_when_they_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let target = backend::echo();
    fs::write(&file, format!("old: {target}\n")).unwrap();
    let bridge = tokens::bridge("TokenFile", &file, &[]);
    let neighbour = Neighbour::at(bridge.addr(), &tokens::head("/?token=old"));
    neighbour.goes_on();
    leave(bridge.pid(), 0);
    fs::write(&file, format!("old: {target}\nnew: {target}\n")).unwrap();
    bridge
        .wait_for_line(|line| line.starts_with("tokens stay as they were: ") && line.contains(FEW));
    leave_all(bridge.pid());
    bridge.wait_for_line(|line| line.starts_with("2 tokens in "));
    drop(tokens::opened(&bridge, "/?token=new"));
    neighbour.ends(PROMPT);
    assert_eq!(told(&bridge.stderr(), "tokens stay as they were"), 1);
}

#[test]
fn a_page_that_cannot_be_opened_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page"), "page").unwrap();
    let web = format!("--web={}", folder.path().display());
    let bridge = Bridge::start(&["127.0.0.1:{port}", &backend::echo().to_string(), &web]);
    let neighbour = Neighbour::beside(bridge.addr());
    neighbour.goes_on();
    let page = |wire: &mut Wire| wire.request("GET /page HTTP/1.1\r\nHost: h\r\n").status;
    let mut wire = Wire::connect(bridge.addr());
    assert_eq!(page(&mut wire), 200);
    wire.take("page".len());
    leave(bridge.pid(), 0);
    assert_eq!(page(&mut wire), 503);
    leave_all(bridge.pid());
    assert_eq!(page(&mut Wire::connect(bridge.addr())), 200);
    neighbour.ends(PROMPT);
}

#[test]
fn a_helper_is_started_when_it_can_be() {
    let helper = Helper::new("");
    let bridge = helper::bridge(&helper, &[]);
    let neighbour = Neighbour::beside(bridge.addr());
    neighbour.goes_on();
    let pid = helper.starts()[0]["pid"].as_i64().unwrap();
    leave_none(bridge.pid());
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let again = bridge.wait_for_line(|line| line.contains("again and again"));
    assert!(again.contains(FEW), "{again}");
    neighbour.goes_on();
    leave_all(bridge.pid());
    bridge.wait_for_line(|line| line.ends_with(" serves again"));
    Ws::open(bridge.addr()).expect_echo("after");
    neighbour.ends(PROMPT);
    assert_eq!(told(&bridge.stderr(), "again and again"), 1);
}
