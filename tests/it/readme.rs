//! The README, by its word: its commands are run as they stand, each block on a machine of its own
//! as far as ports and folders go, and what it quotes is what we say. Its proxies are in
//! `proxies/real.rs`, its services in tests/systemd, its package where that is installed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, kill_process_group};
use tempfile::TempDir;

use crate::machine::apart;
use crate::process::{DEADLINE, Process};
use crate::real::{OURS, script, succeeds};
use crate::wrap::{install_script, library};

const README: &str = include_str!("../../README.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The blocks of code by their marks: a comment before each says which test has it.
fn blocks() -> BTreeMap<&'static str, &'static str> {
    let mut blocks = BTreeMap::new();
    let parts: Vec<_> = README.split("```").collect();
    for pair in parts.chunks_exact(2) {
        let before = pair[0].trim_end_matches('\n');
        let mark = before.rsplit('\n').next().unwrap();
        let name = mark
            .strip_prefix("<!-- test: ")
            .and_then(|it| it.strip_suffix(" -->"));
        let name = name.unwrap_or_else(|| panic!("a block has no mark: {}", pair[1]));
        let (_language, code) = pair[1].split_once('\n').unwrap();
        assert!(blocks.insert(name, code).is_none(), "two blocks are {name}");
    }
    blocks
}

/// The text of one.
pub(crate) fn block(name: &str) -> &'static str {
    blocks()
        .get(name)
        .unwrap_or_else(|| panic!("the README has no block {name}"))
}

#[test]
fn every_block_is_in_a_test() {
    let tests = text_beneath(&Path::new(ROOT).join("tests"));
    for name in blocks().keys() {
        assert!(
            tests.contains(&format!("block(\"{name}\")"))
                || tests.lines().any(|line| line == format!("follow {name}")
                    || line.starts_with(&format!("follow {name} "))),
            "no test runs the block {name}"
        );
    }
}

/// All files that people write there, one behind the other.
fn text_beneath(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            text += &text_beneath(&path);
        } else {
            text += &fs::read_to_string(&path).unwrap_or_default();
        }
    }
    text
}

/// What the system says rather than we.
const NOT_OURS: &[&str] = &["Address already in use", "unknown ca"];

/// The first column of "When it does not work".
#[test]
fn what_is_quoted_is_what_we_say() {
    // Literals as they come out: a line that ends in a backslash goes on behind the next one's blanks.
    let sources = text_beneath(&Path::new(ROOT).join("src"));
    let mut said = String::new();
    for part in sources.split("\\\n") {
        said += part.trim_start();
    }
    let (_, table) = README
        .split_once("| You see | It means | Do |\n|---|---|---|\n")
        .unwrap();
    let rows: Vec<_> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 20, "{rows:?}");
    let symptoms = rows.iter().map(|row| row.split(" | ").next().unwrap());
    let quoted = symptoms.flat_map(|symptom| symptom.split('`').skip(1).step_by(2));
    let parts = quoted.flat_map(|quoted| quoted.split('…'));
    let parts = parts.map(|part| part.trim_matches([' ', ':']));
    let nobodys: Vec<_> = parts
        .filter(|part| !said.contains(part) && !NOT_OURS.contains(part))
        .collect();
    assert!(nobodys.is_empty(), "nobody says: {nobodys:?}");
}

/// Somebody who follows the README, in a new folder, on a machine whose ports are all free.
struct Reader {
    folder: TempDir,
    apart: Vec<&'static str>,
}

impl Reader {
    /// None where no such machine can be made; `test` is counted as skipped then.
    fn new(test: &str) -> Option<Self> {
        let mut apart = apart("--net", test)?;
        apart.push("--mount");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let reader = Self { folder, apart };
        fs::create_dir_all(reader.at("root/usr/local/bin")).unwrap();
        symlink(OURS, reader.at("root/usr/local/bin/websockify")).unwrap();
        fs::create_dir(reader.at("bin")).unwrap();
        reader.has("sudo", "exec \"$@\"");
        // It is there already: tools/setup-test.sh has installed it.
        reader.has("apt-get", "shift; exec dpkg-query --show \"$@\"");
        Some(reader)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of this machine's.
    fn has(&self, name: &str, text: &str) {
        install_script(&format!("#!/bin/sh\n{text}\n"), &self.at("bin").join(name));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        let bin = self.at("bin");
        let local = self.at("root/usr/local/bin");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{path}", local.display(), bin.display());
        command
            .args(&words[1..])
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("PEER", script("systemd/peer.py"))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("WEBSOCKIFY_PYTHON")
            .current_dir(self.folder.path());
        command
    }

    /// Follows `text` until the bridge serves; `before` is what the README takes for granted.
    fn follows(&self, before: &str, text: &str) -> Machine<'_> {
        let script = format!(
            "set -e\nip link set lo up\n{before}\n{text}\necho followed >&2\nexec tail -f /dev/null\n"
        );
        let words = [&self.apart[..], &["sh", "-c", &script]].concat();
        let process = Process::spawn(&mut self.command(&words), Some(self.at("notify")));
        let ready = process.wait_until("bridge that serves", |seen| {
            let ready = seen.notices.contains("READY=1\n");
            (ready || seen.status.is_some()).then_some(ready)
        });
        assert!(ready, "{process}");
        Machine {
            reader: self,
            process,
        }
    }
}

/// Where it serves.
struct Machine<'r> {
    reader: &'r Reader,
    process: Process,
}

impl Machine<'_> {
    /// Runs `script` there, which has to succeed.
    fn sees(&self, script: &str) {
        let pid = self.process.pid().to_string();
        let mut words = vec!["nsenter", "--net", "--mount", "--target", &pid];
        if self.reader.apart.contains(&"--map-root-user") {
            words.extend(["--user", "--preserve-credentials"]);
        }
        let script = format!(
            "cd '{}'; set -e; {script}",
            self.reader.folder.path().display()
        );
        words.extend(["timeout", "30", "sh", "-c", &script]);
        assert!(DEADLINE.as_secs() == 30, "as for all else");
        succeeds(&mut self.reader.command(&words));
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // Whatever was started in the background, too.
        let _ = kill_process_group(self.process.pid(), Signal::TERM);
    }
}

/// A target that echoes, and listens from here on.
fn echo_on(port: u16) -> String {
    format!(
        "mkfifo target-{port}; python3 \"$PEER\" target {port} >target-{port} & \
         exec 7<target-{port}; read -r line <&7"
    )
}

/// A display far from those that people and other tests have.
fn free_display() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 17;
        let display = 600 + next % 400;
        if !Path::new(&format!("/tmp/.X{display}-lock")).exists() {
            return display;
        }
    }
}

/// The VNC server, which announces itself to nobody.
fn xvnc() -> String {
    let text = block("novnc-packages").replace(":5 ", &format!(":{} ", free_display()));
    format!("{text}\nuntil ss -ltnH 'sport = :5900' | grep -q .; do sleep 0.05; done")
}

const ECHOES: &str = "python3 \"$PEER\" echo 6080";
const GREETS: &str = "python3 \"$PEER\" greeting 6080 'RFB 003.008'";

/// `make` that finds everything built, and installs beneath the reader's folder.
fn make(reader: &Reader) {
    let text = format!(
        "exec /usr/bin/make --directory='{ROOT}' --old-file='{OURS}' BRIDGE='{OURS}' REBIND='{}' \
         DESTDIR=\"$HOME/root\" \"$@\"",
        library().display()
    );
    reader.has("make", &text);
}

#[test]
fn by_hand() {
    let Some(reader) = Reader::new("readme::by_hand") else {
        return;
    };
    fs::remove_file(reader.at("root/usr/local/bin/websockify")).unwrap();
    make(&reader);
    let there = reader.follows(&echo_on(5900), block("build"));
    there.sees(ECHOES);
    there.sees("man -l root/usr/local/share/man/man1/websockify.1 >/dev/null");
    assert!(
        reader
            .at("root/usr/local/libexec/websockify/websockifyd")
            .exists()
    );
}

#[test]
fn the_demo() {
    let Some(reader) = Reader::new("readme::the_demo") else {
        return;
    };
    make(&reader);
    let there = reader.follows("", block("demo"));
    there.sees("curl -sSf http://localhost:6080/ | grep -q '<html'");
}

#[test]
fn novnc_served_by_us() {
    let Some(reader) = Reader::new("readme::novnc_served_by_us") else {
        return;
    };
    let there = reader.follows(&xvnc(), block("novnc"));
    there.sees("curl -sSf http://localhost:6080/vnc.html | grep -q noVNC");
    there.sees(GREETS);
}

#[test]
fn novncs_own_script() {
    let Some(reader) = Reader::new("readme::novncs_own_script") else {
        return;
    };
    let there = reader.follows(&xvnc(), block("novnc-proxy"));
    there.sees(GREETS);
}

#[test]
fn a_checkout_of_novnc() {
    let Some(reader) = Reader::new("readme::a_checkout_of_novnc") else {
        return;
    };
    let copied = "cp -rL /usr/share/novnc noVNC";
    // A checkout of ours that is built already.
    let ours = reader.at("ours");
    fs::create_dir_all(ours.join("target/release")).unwrap();
    for name in ["src", "preload"] {
        fs::create_dir(ours.join(name)).unwrap();
    }
    for name in ["Cargo.toml", "Cargo.lock", "run"] {
        fs::copy(Path::new(ROOT).join(name), ours.join(name)).unwrap();
    }
    succeeds(
        Command::new("install")
            .arg(OURS)
            .arg(ours.join("target/release/websockify")),
    );
    let text = block("novnc-checkout").replace("/path/to/this/checkout", ours.to_str().unwrap());
    let there = reader.follows(&format!("{}\n{copied}", xvnc()), &text);
    there.sees(GREETS);
    assert!(
        !there.process.stderr().contains("building"),
        "{}",
        there.process
    );
}

#[test]
fn a_certificate_to_try() {
    let Some(reader) = Reader::new("readme::a_certificate_to_try") else {
        return;
    };
    let there = reader.follows(&echo_on(5900), block("self-signed"));
    there.sees("curl -sSf --cacert self.pem https://localhost:6080/vnc.html | grep -q noVNC");
    there.sees(&format!("{ECHOES} --tls self.pem"));
}

#[test]
fn passwords() {
    let Some(reader) = Reader::new("readme::passwords") else {
        return;
    };
    // It reads from the terminal, or where there is none from here.
    let asked = "printf 'secret\\nsecret\\n' | exec setsid --wait /usr/bin/htpasswd \"$@\"";
    reader.has("htpasswd", asked);
    let there = reader.follows(&echo_on(5901), block("passwords"));
    there.sees(&format!("{ECHOES} --user jane:secret"));
    there.sees(&format!("! {ECHOES}"));
    there.sees("! curl -sSf http://localhost:6080/vnc.html");
    there.sees("curl -sSf --user jane:secret http://localhost:6080/vnc.html | grep -q noVNC");
}

#[test]
fn a_program_that_is_asked() {
    let Some(reader) = Reader::new("readme::a_program_that_is_asked") else {
        return;
    };
    let page = include_str!("../../man/websockify-helper.7");
    let (_, example) = page.split_once("#!/usr/bin/env python3").unwrap();
    let (example, _) = example.split_once(".Ed").unwrap();
    let program = reader.at("root/usr/local/bin/office-hours");
    install_script(&format!("#!/usr/bin/env python3{example}"), &program);
    let text = block("helper").replace("/usr/local/bin/office-hours", program.to_str().unwrap());
    let there = reader.follows(&echo_on(5900), &text);
    there.sees(&format!("{ECHOES} 2>&1 | grep ' 403 '"));
}

#[test]
fn tokens() {
    let Some(reader) = Reader::new("readme::tokens") else {
        return;
    };
    let named = "echo '127.0.0.1 localhost vnc1.example.org' >hosts; mount --bind hosts /etc/hosts";
    let before = format!("{}\n{named}", echo_on(5900));
    let there = reader.follows(&before, block("tokens"));
    there.sees(&format!("{ECHOES} --path '/websockify?token=vm1'"));
    there.sees(&format!(
        "{ECHOES} --path '/websockify?token=vm2' 2>&1 | grep ' 404 '"
    ));
}

#[test]
fn a_program_behind_the_bridge() {
    let Some(reader) = Reader::new("readme::a_program_behind_the_bridge") else {
        return;
    };
    // vncserver asks for a password unless there is one.
    let before = "mkdir .vnc; printf 12345678 >.vnc/passwd; chmod 600 .vnc/passwd; \
                  printf '#!/bin/sh\\nexec tail -f /dev/null\\n' >.vnc/xstartup; chmod 755 .vnc/xstartup";
    library();
    let display = free_display();
    let port = (5900 + display).to_string();
    let text = block("wrap").replace("5901", &port);
    let text = text.replace(":1", &format!(":{display}"));
    let there = reader.follows(before, &text);
    there.sees(&GREETS.replace("6080", &port));
}

#[test]
fn a_telnet_terminal() {
    let Some(reader) = Reader::new("readme::a_telnet_terminal") else {
        return;
    };
    let text = block("telnet").replace("/usr/local/share/websockify/web", &format!("{ROOT}/web"));
    let there = reader.follows(&echo_on(23), &text);
    there.sees("curl -sSf http://localhost:6023/wstelnet.html | grep -q telnet");
    there.sees("python3 \"$PEER\" echo 6023");
}

#[test]
fn a_recording() {
    let Some(reader) = Reader::new("readme::a_recording") else {
        return;
    };
    let before = format!("mount -t tmpfs tmpfs /var/tmp\n{}", echo_on(5900));
    let there = reader.follows(&before, block("record"));
    there.sees(ECHOES);
    there
        .process
        .wait_for_line(|line| line.contains("/var/tmp/desk.1"));
    there.sees("test -s /var/tmp/desk.1");
}

#[test]
fn without_systemd() {
    let Some(reader) = Reader::new("readme::without_systemd") else {
        return;
    };
    let mounts = "mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/log";
    let before = format!("{mounts}\n{}", echo_on(5900));
    let there = reader.follows(&before, block("daemon"));
    there.process.wait_for_line(|line| line == "followed");
    there.sees(ECHOES);
    there.sees("kill \"$(cat /run/websockify.pid)\"; tail -n +1 -f /var/log/websockify.log | grep -m 1 'session client='");
}
