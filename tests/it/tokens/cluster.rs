//! Many bridges, one Redis.

use std::process::Command;

use crate::machine::namespace;
use crate::real::{OURS, python, script, succeeds};

/// tests/clients/cluster.py says what. Where no network namespace may be made, all of it is on
/// loopback.
#[test]
fn three_bridges_behind_haproxy_of_which_one_is_killed() {
    let scenario = script("clients/cluster.py");
    match namespace("--net") {
        Some(words) => {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).arg(python().get_program());
            succeeds(command.arg(scenario).args([OURS, "apart"]));
        }
        None => succeeds(python().arg(scenario).args([OURS, "here"])),
    }
}
