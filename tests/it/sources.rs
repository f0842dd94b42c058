//! `--bind-source`, on a machine with addresses of the test's choice and a target beyond a link.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::backend;
use crate::bridge::Bridge;
use crate::machine;
use crate::wire::{Wire, Ws};

/// Where the target is: addresses of the other machine.
const FAR: [&str; 2] = ["192.0.2.100", "2001:db8::100"];

const UNREACHED: &str = "1011 Failed to connect to downstream server";

/// Two machines, each a network namespace with a name, and a link between them; gone with this.
pub(crate) struct Link {
    pub(crate) near: String,
    pub(crate) far: String,
}

impl Link {
    /// The near one has 192.0.2.1 to 192.0.2.3 and 2001:db8::1, and `ports` to connect from.
    pub(crate) fn new(ports: &str, test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("ws{}-{number}-{side}", std::process::id());
        let link = Self {
            near: name("near"),
            far: name("far"),
        };
        if !(ip(&["netns", "add", &link.near]) && ip(&["netns", "add", &link.far])) {
            machine::skip(
                test,
                "no namespace of the network with a name may be made here",
            );
            return None;
        }
        let Self { near, far } = &link;
        let veth = ["type", "veth", "peer", "name", "there", "netns", far];
        assert!(ip(
            &[&["-n", near, "link", "add", "here"][..], &veth].concat()
        ));
        for source in ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"] {
            assert!(ip(&["-n", near, "addr", "add", source, "dev", "here"]));
        }
        let v6 =
            |side, address, dev| ip(&["-n", side, "addr", "add", address, "dev", dev, "nodad"]);
        assert!(v6(near, "2001:db8::1/64", "here"));
        assert!(ip(&[
            "-n",
            far,
            "addr",
            "add",
            "192.0.2.100/24",
            "dev",
            "there"
        ]));
        assert!(v6(far, "2001:db8::100/64", "there"));
        for (side, dev) in [(near, "here"), (far, "there"), (near, "lo"), (far, "lo")] {
            assert!(ip(&["-n", side, "link", "set", dev, "up"]));
        }
        link.set("net/ipv4/ip_local_port_range", ports);
        Some(link)
    }

    /// Sets one of the near machine's settings.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let write = format!("echo '{value}' >/proc/sys/{name}");
        assert!(ip(&["netns", "exec", &self.near, "sh", "-c", &write]));
    }

    /// Takes one of the near machine's addresses away.
    fn lose(&self, address: &str) {
        assert!(ip(&[
            "-n", &self.near, "addr", "del", address, "dev", "here"
        ]));
    }

    /// Takes the wire between them away: no connection is told.
    pub(crate) fn cut(&self) {
        assert!(ip(&["-n", &self.far, "link", "set", "there", "down"]));
    }

    /// Does `work` on one of the two; a socket stays where it was made.
    pub(crate) fn inside<T: Send + 'static>(
        &self,
        side: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let space = File::open(format!("/run/netns/{side}")).unwrap();
        let there = thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(space.as_fd(), kind).unwrap();
            work()
        });
        there.join().unwrap()
    }

    /// An echo on the far machine, at `host`, and where each connection to it came from.
    fn echo(&self, host: &str) -> (SocketAddr, mpsc::Receiver<IpAddr>) {
        let host: IpAddr = host.parse().unwrap();
        let (tell, from) = mpsc::channel();
        let echo = move || {
            backend::serve_on((host, 0).into(), move |stream| {
                tell.send(stream.peer_addr().unwrap().ip()).unwrap();
                backend::echo_on(stream);
            })
        };
        (self.inside(&self.far, echo), from)
    }

    /// A bridge on the near machine, to which tests come by a file.
    fn bridge(&self, target: SocketAddr, options: &[&str]) -> Reached {
        let folder = tempfile::tempdir().unwrap();
        let listen = format!("--unix-listen={}", folder.path().join("s").display());
        let target = target.to_string();
        let arguments = [&[&*listen, &target], options].concat();
        Reached {
            bridge: Bridge::start_under(&["ip", "netns", "exec", &self.near], &arguments),
            folder,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for side in [&self.near, &self.far] {
            ip(&["netns", "del", side]);
        }
    }
}

struct Reached {
    bridge: Bridge,
    folder: TempDir,
}

impl Reached {
    fn open(&self) -> Ws {
        Ws::upgrade(Wire::connect_unix(&self.folder.path().join("s")))
    }

    /// Opens sessions until one is refused.
    fn fill(&self) -> Vec<Ws> {
        let mut sessions = Vec::new();
        loop {
            let mut ws = self.open();
            ws.send(&crate::wire::Frame::binary("x"));
            match ws.recv() {
                Some(frame) if frame.payload == b"x" => sessions.push(ws),
                _ => return sessions,
            }
        }
    }

    fn ends_well(&self) {
        self.bridge.signal(Signal::TERM);
        assert_eq!(self.bridge.wait().code(), Some(0));
    }
}

fn ip(arguments: &[&str]) -> bool {
    let ran = Command::new("ip").args(arguments).status();
    ran.is_ok_and(|status| status.success())
}

#[test]
fn three_addresses_have_three_times_the_ports_of_one() {
    let test = "sources::three_addresses_have_three_times_the_ports_of_one";
    let Some(link) = Link::new("40000 40009", test) else {
        return;
    };
    let (target, from) = link.echo(FAR[0]);
    let one = link.bridge(target, &["--bind-source=192.0.2.2"]);
    let in_use = one.fill();
    assert_eq!(in_use.len(), 10);
    assert!(from.try_iter().all(|it| it == IpAddr::from([192, 0, 2, 2])));
    one.bridge.wait_for_line(|line| {
        line.starts_with(&format!("cannot connect to {target} for client=unix:"))
            && line.contains("no port is free towards it")
    });
    let words = [
        "--bind-source",
        "192.0.2.1,192.0.2.3",
        "--bind-source=192.0.2.2",
    ];
    // Towards another target all are free again.
    let (target, from) = link.echo(FAR[0]);
    let three = link.bridge(target, &words);
    let sessions = three.fill();
    assert_eq!(sessions.len(), 30);
    let mut from: Vec<IpAddr> = from.try_iter().collect();
    // In turns, as long as they last.
    from[..3].sort_unstable();
    let [first, second, third] = [1, 2, 3].map(|it| IpAddr::from([192, 0, 2, it]));
    assert_eq!(from[..3], [first, second, third]);
    for source in [first, second, third] {
        assert_eq!(from.iter().filter(|it| **it == source).count(), 10);
    }
    three.bridge.wait_for_line(|line| {
        line.contains("from any of 3 addresses of --bind-source; more addresses give more")
    });
    drop((sessions, in_use));
    three.ends_well();
}

#[test]
fn an_address_that_is_lost_costs_its_turn_and_the_last_is_named() {
    let test = "sources::an_address_that_is_lost_costs_its_turn_and_the_last_is_named";
    let Some(link) = Link::new("32768 60999", test) else {
        return;
    };
    let (target, from) = link.echo(FAR[0]);
    let bridge = link.bridge(target, &["--bind-source=192.0.2.3,192.0.2.2"]);
    link.lose("192.0.2.3/24");
    for word in ["one", "two", "three"] {
        bridge.open().expect_echo(word);
        assert_eq!(from.recv().unwrap(), IpAddr::from([192, 0, 2, 2]));
    }
    link.lose("192.0.2.2/24");
    assert_eq!(bridge.open().close(), UNREACHED);
    bridge.bridge.wait_for_line(|line| {
        line.starts_with("cannot connect to")
            && line.contains("this machine has no longer 192.0.2.")
    });
    bridge.ends_well();
}

#[test]
fn a_target_is_reached_from_an_address_of_its_family() {
    let test = "sources::a_target_is_reached_from_an_address_of_its_family";
    let Some(link) = Link::new("32768 60999", test) else {
        return;
    };
    let (v4, _from) = link.echo(FAR[0]);
    let (v6, from) = link.echo(FAR[1]);
    let both = link.bridge(v6, &["--bind-source=192.0.2.2,2001:db8::1"]);
    both.open().expect_echo("over IPv6");
    assert_eq!(
        from.recv().unwrap(),
        "2001:db8::1".parse::<IpAddr>().unwrap()
    );
    let other = link.bridge(v4, &["--bind-source=2001:db8::1"]);
    assert_eq!(other.open().close(), UNREACHED);
    other.bridge.wait_for_line(|line| {
        line.ends_with("--bind-source has no address of the family of 192.0.2.100")
    });
}

/// As on a machine that takes an address over when another fails.
#[test]
fn an_address_of_another_machine_is_refused_but_where_it_may_come() {
    let test = "sources::an_address_of_another_machine_is_refused_but_where_it_may_come";
    let Some(link) = Link::new("32768 60999", test) else {
        return;
    };
    let (target, from) = link.echo(FAR[0]);
    let sources = "--bind-source=192.0.2.77,192.0.2.2";
    let words = ["ip", "netns", "exec", &link.near];
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("--unix-listen={}", folder.path().join("s").display());
    let target_name = target.to_string();
    let arguments = [&*listen, &target_name, "--bind-source=192.0.2.77"];
    let refused = Bridge::spawn_under(&words, &arguments);
    assert_eq!(refused.wait().code(), Some(1));
    let said = "--bind-source: this machine has no address 192.0.2.77; ";
    assert!(refused.stderr().contains(said), "{}", refused.stderr());
    // It may come up later than the socket of an instance, which is checked at boot.
    let checked = Bridge::spawn_under(&words, &[&arguments[..], &["--check-config"]].concat());
    assert_eq!(checked.wait().code(), Some(0));
    assert!(checked.stderr().contains(said), "{}", checked.stderr());
    // One that is here is enough.
    let bridge = link.bridge(target, &[sources]);
    bridge.bridge.wait_for_line(|line| line.contains(said));
    bridge.open().expect_echo("nought");
    assert_eq!(from.recv().unwrap(), IpAddr::from([192, 0, 2, 2]));
    link.set("net/ipv4/ip_nonlocal_bind", "1");
    let bridge = link.bridge(target, &[sources]);
    for word in ["one", "two"] {
        bridge.open().expect_echo(word);
        assert_eq!(from.recv().unwrap(), IpAddr::from([192, 0, 2, 2]));
    }
}
