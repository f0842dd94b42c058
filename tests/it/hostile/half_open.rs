//! Clients whose link is cut: nobody tells the bridge, which finds out by itself.

use std::net::SocketAddr;
use std::thread;

use super::{Siege, target};
use crate::bridge::Bridge;
use crate::sources::Link;
use crate::wire::{Frame, Wire, Ws};

const MANY: usize = 8;

/// A heartbeat finds them, whatever was on its way; nothing of them stays, in either case. Without
/// one it is the kernel, by its keepalive, or once it has sent the same bytes often enough: both
/// are its numbers, of which the second is a network's own.
#[test]
fn clients_behind_a_link_that_was_cut_are_given_up() {
    let test = "hostile::half_open::clients_behind_a_link_that_was_cut_are_given_up";
    let Some(link) = Link::new("32768 60999", test) else {
        return;
    };
    link.set("net/ipv4/tcp_retries2", "3");
    let listen = "192.0.2.1:{port}";
    let target = link.inside(&link.near, target).to_string();
    let inside = ["ip", "netns", "exec", &link.near];
    let sieges = [&["--heartbeat=1"][..], &[]].map(|options| {
        let bridge = Bridge::start_under(&inside, &[&[listen, &target], options].concat());
        let addr = SocketAddr::from(([192, 0, 2, 1], bridge.port()));
        let open = |side: &str| link.inside(side, move || Ws::upgrade(Wire::connect(addr)));
        let neighbour = open(&link.near);
        let siege = Siege::beside(bridge, neighbour);
        let sessions = |job: &str| -> Vec<Ws> {
            let come = |_| {
                let mut ws = open(&link.far);
                ws.send(&Frame::binary(job));
                ws
            };
            (0..MANY).map(come).collect()
        };
        // Idle ones, which only a heartbeat finds in less than two minutes, and such as are sent much.
        let idle = if options.is_empty() {
            Vec::new()
        } else {
            sessions("s")
        };
        let sent = sessions("p");
        (siege, idle, sent)
    });
    link.cut();
    thread::scope(|scope| {
        for (siege, idle, sent) in sieges {
            scope.spawn(move || {
                siege.ends("a cut link");
                drop((idle, sent));
            });
        }
    });
}
