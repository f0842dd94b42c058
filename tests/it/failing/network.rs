//! Packets are lost and come in another order, between client, bridge and target alike.

use std::process::{Command, Stdio};
use std::thread;

use super::{comes_back, message};
use crate::backend;
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::machine::{again, skip};
use crate::wire::Ws;

/// As small as a network's packets, so that there are enough of them to lose.
const SMALL: &str = "ip link set lo mtu 1500; ";

fn there_is(program: &str) -> bool {
    let mut probe = Command::new(program);
    let probe = probe.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok()
}

/// Sessions in both directions at once, each byte of which has to be right.
fn talk() {
    let bridge = Bridge::to(&backend::echo());
    thread::scope(|scope| {
        for number in 0..4 {
            let addr = bridge.addr();
            scope.spawn(move || {
                let mut session = Ws::open(addr);
                for round in 0..10 {
                    comes_back(&mut session, &message(number * 100 + round));
                }
                comes_back(&mut session, &pattern(256 << 10));
            });
        }
    });
}

#[test]
fn what_is_lost_on_the_way_is_not_lost() {
    let test = "failing::network::what_is_lost_on_the_way_is_not_lost";
    if !there_is("nft") {
        return skip(test, "there is no nft here");
    }
    let lossy = "nft 'add table inet t; \
                 add chain inet t c { type filter hook input priority 0; }; \
                 add rule inet t c meta l4proto tcp numgen random mod 25 0 drop'";
    if again(test, &format!("{SMALL}{lossy}")) {
        talk();
    }
}

#[test]
fn what_comes_late_and_in_another_order_is_in_its_own() {
    let test = "failing::network::what_comes_late_and_in_another_order_is_in_its_own";
    let netem = "tc qdisc add dev lo root netem delay 5ms reorder 25% loss 2%";
    let probe = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", netem])
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return skip(test, "a kernel without the module sch_netem");
    }
    if again(test, &format!("{SMALL}{netem}")) {
        talk();
    }
}
