//! Programs that say who may come in and where a token leads.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::backend;
use crate::bridge::Bridge;
use crate::real::script;
use crate::wire::{UPGRADE, Wire, Ws};

mod auth; // questions, answers and what clients see of them
pub(crate) mod classes; // Python classes behind examples/python-class
mod life; // starts, crashes, restarts and the end
mod token; // --token-plugin Exec

/// tests/clients/helper.py, and what it reports.
pub(crate) struct Helper {
    folder: TempDir,
    mode: &'static str,
}

impl Helper {
    pub(crate) fn new(mode: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, mode }
    }

    fn report(&self) -> PathBuf {
        self.folder.path().join("report")
    }

    /// What stands behind `--auth-source`.
    fn line(&self) -> String {
        let (program, report) = (script("clients/helper.py"), self.report());
        format!(
            "'{}' '{}' '{}'",
            program.display(),
            report.display(),
            self.mode
        )
    }

    fn options(&self) -> [String; 2] {
        let source = format!("--auth-source={}", self.line());
        ["--auth-plugin=Exec".to_owned(), source]
    }

    /// What each start reported, in their order.
    pub(crate) fn starts(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.report()).unwrap();
        let lines = lines.lines().filter(|line| line.starts_with('{'));
        lines.map(|it| serde_json::from_str(it).unwrap()).collect()
    }
}

/// A bridge to an echo that asks the helper.
pub(crate) fn bridge(helper: &Helper, more: &[&str]) -> Bridge {
    let target = backend::echo().to_string();
    let options = helper.options();
    let mut args: Vec<&str> = options.iter().map(String::as_str).collect();
    args.extend(more);
    args.extend(["127.0.0.1:{port}", &target]);
    Bridge::start(&args)
}

fn asking(what: &str) -> String {
    format!("{UPGRADE}X-Do: {what}\r\n")
}

/// Status and body of the answer to a client that is not let in.
fn refusal(addr: SocketAddr, what: &str) -> (u16, String) {
    answer(&mut Wire::connect(addr), &asking(what))
}

fn answer(wire: &mut Wire, head: &str) -> (u16, String) {
    let response = wire.request(head);
    assert_ne!(response.status, 101, "{head}");
    let length = response.header("content-length").unwrap().parse().unwrap();
    let body = wire.take(length).unwrap();
    (response.status, String::from_utf8(body).unwrap())
}

fn admitted(addr: SocketAddr) -> Ws {
    let mut ws = Ws::open(addr);
    ws.expect_echo("hello");
    ws
}
