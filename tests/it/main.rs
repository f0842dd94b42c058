//! Tests of the program from outside, as its users meet it: through its command line and its sockets.
//!
//! `BRIDGE_UNDER_TEST=theirs` runs them against Python's websockify, found in `WEBSOCKIFY_PYTHON`.
#![allow(
    clippy::disallowed_methods,
    reason = "a test is the bridge's client, its target and its administrator at once"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as expected"
)]
#![allow(
    clippy::print_stderr,
    reason = "a failed test shows what the bridge said"
)]

mod auth; // who is let in
mod backend; // targets for the bridge: echo, say, hear, reset
mod bridge; // a bridge as a child process, ready to be connected to
mod bulk; // a target that sends much
mod check; // --check-config
mod compat; // what websockify does, asked of both programs
mod completions; // what shells offer
mod conformance; // the Autobahn test suite
mod control; // websockify ctl, and counts for monitoring
mod costs; // system calls
mod daemon; // --daemon and --pid-file
mod demo; // --demo without a browser
mod documents; // the tests that they name
mod ending; // signals, timeouts, readiness, the record of a session
mod environment; // variables, a manager's sockets, and the command line, which wins
mod failing; // a machine that lacks something, and services that hang
mod files; // changed as administrators change them
mod frames; // which pages may show ours
mod heartbeat; // dead clients and live ones
mod helper; // programs that say who may come in and where a token leads
mod hostile; // slow, greedy and broken peers, and who is served beside them
mod inherited; // sockets from systemd and inetd
mod instance; // what the service may do with its files
mod last_bytes; // nothing is lost at an end, and little is held before it
mod legacy; // clients of 2010 to 2016
mod limits; // connections, descriptors, request heads
mod logs; // --log-file and --syslog
mod machine; // what this machine lets a test do, and the list of skips
mod manual; // its pages, and completions
mod process; // a child's output, notices and end, as events that a test waits for
mod proxies; // who is behind a proxy, and who we are for one
mod readme; // its commands, and what it quotes
mod real; // browsers, noVNC and other programs, unmodified
mod record; // --record where the disk is full, slow or shared
mod scale; // many sessions, and one that takes all it can get
mod service; // a bridge under a manager that restarts it and keeps what it stores
mod sources; // --bind-source
mod survival; // sessions that go on in the next process

mod targets; // ways to a target
mod tls; // certificates, handshakes, renewal; TLS to the target
mod tokens; // where to, by token
mod unsafe_code; // its inventory
mod wire; // raw HTTP and WebSocket clients, with every byte in the test's hand
mod wrap; // a program behind the bridge, and what is preloaded into it
