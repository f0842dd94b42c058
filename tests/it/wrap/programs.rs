//! Servers that people have, unmodified, and the clients that they have for them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::getuid;

use super::{install_script, library};
use crate::bridge::Bridge;
use crate::machine::skip;
use crate::real::{OURS, node, succeeds};
use crate::wire::{CLOSE, Frame, Ws};

fn wrap(options: &[&str], command: &[&str]) -> Bridge {
    library();
    let mut args = vec!["127.0.0.1:{port}"];
    args.extend(options);
    args.push("--");
    args.extend(command);
    Bridge::start(&args)
}

#[test]
fn the_http_server_of_python() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page"), "what it serves").unwrap();
    let folder = folder.path().to_str().unwrap();
    let bridge = wrap(
        &[],
        &[
            "python3",
            "-u",
            "-m",
            "http.server",
            "--directory",
            folder,
            "{port}",
        ],
    );
    for _ in 0..2 {
        let mut client = Ws::open(bridge.addr());
        client.send(&Frame::binary("GET /page HTTP/1.0\r\n\r\n"));
        let answer = String::from_utf8(client.end().data).unwrap();
        assert!(answer.ends_with("\r\n\r\nwhat it serves"), "{answer}");
    }
    bridge.wait_for_line(|line| line.starts_with("python3: ") && line.contains("GET /page"));
}

/// One connection is all it takes: nobody may have tried the port before.
#[test]
fn netcat() {
    for words in ["nc -l {port}", "busybox nc -l -p {port}"] {
        let words: Vec<&str> = words.split(' ').collect();
        let bridge = wrap(&[], &words);
        let mut client = Ws::open(bridge.addr());
        client.send(&Frame::binary("a line\n"));
        client.send(&Frame::close(1000, ""));
        bridge.wait_for_line(|line| line == format!("{}: a line", words[0]));
    }
}

/// A TCP port that leads to the bridge, for clients that speak no WebSocket. Serves one.
fn doorway(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let (mut from, mut to_client) = (client.try_clone().unwrap(), client);
        let mut ws = Ws::open(to);
        let mut out = ws.wire.stream().try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                let frame = Frame::binary(&buffer[..n]).encode();
                if out.write_all(&frame).is_err() {
                    return;
                }
            }
            let _ = out.write_all(&Frame::close(1000, "").encode());
        });
        while let Some(frame) = ws.recv() {
            if frame.opcode == CLOSE {
                ws.send(&Frame::close(1000, ""));
                break;
            }
            if to_client.write_all(&frame.payload).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    addr
}

/// A terminal for each client, in turn, as websockify's own example has it.
#[test]
fn telnetd_under_respawn() {
    let test = "wrap::programs::telnetd_under_respawn";
    if !Path::new("/usr/sbin/telnetd").exists() {
        return skip(
            test,
            "no telnetd; inetutils-telnetd also opens a port for good",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let login = folder.path().join("login");
    install_script("#!/bin/sh\nread name; echo \"hello $name\"\n", &login);
    let server = folder.path().join("telnetd");
    let words = format!("exec /usr/sbin/telnetd -h -E {}", login.display());
    install_script(&format!("#!/bin/sh\n{words}\n"), &server);
    let bridge = wrap(
        &["--wrap-mode=respawn"],
        &[
            "busybox",
            "nc",
            "-l",
            "-p",
            "{port}",
            "-e",
            server.to_str().unwrap(),
        ],
    );
    for name in ["one", "two", "three"] {
        let door = doorway(bridge.addr());
        let mut client = Command::new("telnet")
            .args([door.ip().to_string(), door.port().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = client.stdin.take().unwrap();
        let mut output = client.stdout.take().unwrap();
        input.write_all(format!("{name}\n").as_bytes()).unwrap();
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        client.wait().unwrap();
        assert!(said.contains(&format!("hello {name}")), "{said}");
    }
}

/// It changes its rights for each connection, and preloads nothing into its own children.
#[test]
fn sshd_of_openssh() {
    let test = "wrap::programs::sshd_of_openssh";
    if !Path::new("/usr/sbin/sshd").exists() {
        return skip(test, "no sshd; openssh-server also opens a port for good");
    }
    if !getuid().is_root() {
        return skip(test, "sshd wants root for its privilege separation");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for key in ["host", "user"] {
        succeeds(Command::new("ssh-keygen").args([
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &path(key),
        ]));
    }
    fs::copy(path("user.pub"), path("authorized")).unwrap();
    fs::create_dir_all("/run/sshd").unwrap();
    let config = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
         PermitRootLogin prohibit-password\n",
        path("host"),
        path("authorized")
    );
    fs::write(path("config"), config).unwrap();
    let bridge = wrap(
        &[],
        &[
            "/usr/sbin/sshd",
            "-D",
            "-e",
            "-f",
            &path("config"),
            "-p",
            "{port}",
        ],
    );
    let door = doorway(bridge.addr());
    let output = Command::new("ssh")
        .args(["-i", &path("user"), "-p", &door.port().to_string()])
        .args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args([
            "-o",
            "BatchMode=yes",
            "root@127.0.0.1",
            "echo over a WebSocket",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "over a WebSocket\n", "{stderr}\n{bridge:?}");
}

#[test]
fn xvnc_wrapped_in_chromium() {
    library();
    succeeds(node("browser/wrapped.mjs").args(["--bridge", OURS, "--program", "Xvnc"]));
}

#[test]
fn vncserver_gone_to_the_background_in_chromium() {
    library();
    assert!(Path::new("/usr/bin/vncserver").exists());
    succeeds(node("browser/wrapped.mjs").args(["--bridge", OURS, "--program", "vncserver"]));
}
