//! New certificates for new connections, while the sessions that are there live on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use super::{Authority, Dialer, Pair, bridge_with, text, tunnel};
use crate::bridge::Bridge;
use crate::last_bytes::pattern;
use crate::process::Seen;
use crate::wire::Frame;

/// The first name in the certificate of a new connection.
fn shown(bridge: &Bridge, ca: &Authority) -> String {
    let dialed = Dialer::new(ca).dial(bridge.addr()).unwrap();
    let names = dialed.chain[0].subject_alt_names().unwrap();
    names[0].dnsname().unwrap().to_owned()
}

/// How often each thing was said so far.
fn count(seen: &Seen) -> [usize; 3] {
    let lines = |text: &str, begin: &str| text.lines().filter(|it| it.starts_with(begin)).count();
    [
        lines(&seen.stderr, "reloaded"),
        lines(&seen.stderr, "not reloaded, everything stays as it was: "),
        lines(&seen.notices, "READY=1"),
    ]
}

/// Returns when the bridge has reloaded, or failed to, so many times in all, and is ready again.
fn wait(bridge: &Bridge, reloaded: usize, failed: usize) {
    bridge.wait_until("reload", |seen| {
        (count(seen) == [reloaded, failed, 1 + reloaded + failed]).then_some(())
    });
}

#[test]
fn a_hangup_takes_what_is_there_now_or_says_why_not() {
    let ca = Authority::new();
    let pair = ca.issue("DNS:old.example");
    let bridge = bridge_with(&pair.options());
    let mut session = tunnel::open(bridge.addr(), &ca);
    session.expect_echo("before");

    ca.issue("DNS:new.example").replace(&pair);
    bridge.signal(Signal::HUP);
    wait(&bridge, 1, 0);
    assert_eq!(shown(&bridge, &ca), "new.example");
    session.expect_echo("after");

    fs::write(&pair.certificate, "nonsense").unwrap();
    bridge.signal(Signal::HUP);
    wait(&bridge, 1, 1);
    bridge.wait_for_line(|line| {
        let path = pair.certificate.display();
        let fault = format!("--cert {path}: no certificate in PEM form in it");
        line == format!("not reloaded, everything stays as it was: {fault}")
    });
    assert_eq!(shown(&bridge, &ca), "new.example");
    session.expect_echo("and after a failure");

    ca.issue("DNS:newer.example").replace(&pair);
    bridge.signal(Signal::HUP);
    wait(&bridge, 2, 1);
    assert_eq!(shown(&bridge, &ca), "newer.example");
    assert_eq!(
        bridge_notices(&bridge),
        ["READY", "RELOADING", "MONOTONIC_USEC"].to_vec()
    );
}

/// The manager's words up to the first reload, without those of its status.
fn bridge_notices(bridge: &Bridge) -> Vec<String> {
    bridge.wait_until("notices", |seen| {
        let words = seen.notices.lines().filter_map(|line| line.split_once('='));
        let words = words.filter(|(word, _)| *word != "STATUS");
        Some(words.take(3).map(|(word, _)| word.to_owned()).collect())
    })
}

#[test]
fn without_certificates_a_hangup_ends_nothing() {
    let bridge = bridge_with(&[]);
    bridge.signal(Signal::HUP);
    wait(&bridge, 1, 0);
    crate::wire::Ws::open(bridge.addr()).expect_echo("still here");
}

#[test]
fn a_renewal_by_rename_is_noticed_without_a_word() {
    let ca = Authority::new();
    let pair = ca.issue("DNS:old.example");
    let bridge = bridge_with(&pair.options());
    ca.issue("DNS:new.example").replace(&pair);
    wait(&bridge, 1, 0);
    assert_eq!(shown(&bridge, &ca), "new.example");
}

#[test]
fn a_renewal_by_certbots_links_is_noticed_without_a_word() {
    let ca = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live/desk.example");
    let archive = folder.path().join("archive");
    fs::create_dir_all(&live).unwrap();
    fs::create_dir_all(&archive).unwrap();
    let renew = |number: u8, name: &str| {
        let Pair { certificate, key } = ca.issue(&format!("DNS:{name}"));
        for (from, kind) in [(key, "privkey"), (certificate, "fullchain")] {
            let file = archive.join(format!("{kind}{number}.pem"));
            fs::copy(from, &file).unwrap();
            // As certbot does it: the old link away, then the new one.
            let link = live.join(format!("{kind}.pem"));
            let _ = fs::remove_file(&link);
            symlink(
                Path::new("../../archive").join(file.file_name().unwrap()),
                link,
            )
            .unwrap();
        }
    };
    renew(1, "old.example");
    let bridge = bridge_with(&["--cert", text(&folder.path().join("live"))]);
    assert_eq!(shown(&bridge, &ca), "old.example");
    renew(2, "new.example");
    wait(&bridge, 1, 0);
    assert_eq!(shown(&bridge, &ca), "new.example");
}

#[test]
fn a_hundred_sessions_stream_through_several_renewals() {
    const SESSIONS: usize = 100;
    const RENEWALS: usize = 5;
    let ca = Authority::new();
    let pair = ca.here();
    let bridge = bridge_with(&pair.options());
    let data = pattern(20_000);
    let done = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let mut sessions: Vec<_> = (0..SESSIONS)
        .map(|_| tunnel::open(bridge.addr(), &ca))
        .collect();
    thread::scope(|scope| {
        for session in &mut sessions {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    session.expect_echo(&data[..]);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for renewal in 1..=RENEWALS {
            let name = format!("DNS:renewal{renewal}.example");
            ca.issue(&name).replace(&pair);
            let before = rounds.load(Ordering::Relaxed);
            bridge.signal(Signal::HUP);
            wait(&bridge, renewal, 0);
            assert_eq!(format!("DNS:{}", shown(&bridge, &ca)), name);
            // Bytes moved meanwhile, for everybody on average.
            while rounds.load(Ordering::Relaxed) < before + SESSIONS {
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    for session in &mut sessions {
        session.expect_echo("to the last");
        session.send(&Frame::close(1000, ""));
        assert_eq!(session.close(), "1000");
    }
    bridge.wait_until("all records", |seen| {
        (seen.stderr.matches("code=1000 by=client").count() == SESSIONS).then_some(())
    });
}

#[test]
fn a_change_of_the_authorities_is_one_too() {
    let ca = Authority::new();
    let pair = ca.here();
    let client = ca.issue("DNS:client.example");
    let file = ca.join("both.pem", &[&ca.certificate(), &ca.revocations()]);
    let options = ["--verify-client", "--cafile", text(&file)];
    let bridge = bridge_with(&[&pair.options()[..], &options].concat());
    let dial = || {
        Dialer::new(&ca)
            .certificate(&client)
            .dial(bridge.addr())
            .unwrap()
    };
    let mut session = dial().ws();
    ca.revoke(&client);
    ca.join("both.pem", &[&ca.certificate(), &ca.revocations()]);
    bridge.signal(Signal::HUP);
    wait(&bridge, 1, 0);
    assert!(
        dial()
            .rest()
            .unwrap_err()
            .to_string()
            .contains("certificate revoked")
    );
    session.expect_echo("who is in stays in");
}
