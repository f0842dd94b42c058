//! What a bridge that was broken into would try. It stands in the bridge's place, goes into the
//! same sandbox with the same configuration, and prints which doors it finds open.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "it does what the bridge must not"
)]

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::Command;

use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Pid, test_kill_process};
use websockify::cli::{self, Asked};
use websockify::config::Config;
use websockify::sandbox::{self, plan::Plan};

fn main() {
    let Ok(Asked::Serve(options)) = cli::parse(env::args_os()) else {
        panic!("not the bridge's configuration");
    };
    let config = Config::new(*options, Vec::new()).unwrap();
    sandbox::hide(config.sandbox);
    let plan = Plan::new(&config, &[]);
    println!("{}", sandbox::enter(config.sandbox, &plan).unwrap());
    // Another process of the same user, and of another; a port that is not the target's.
    let given = |name| env::var(name).unwrap();
    let other: i32 = given("ESCAPE_PID").parse().unwrap();
    let closed: u16 = given("ESCAPE_PORT").parse().unwrap();

    attempt("read /etc/shadow", || read("/etc/shadow"));
    attempt("read a home", || read("/root/secret"));
    attempt("read the key in /etc", || read("/etc/ssl/test/one.key"));
    attempt("read another instance's key", || read(&given("ESCAPE_KEY")));
    attempt("list users' programs", || {
        fs::read_dir("/usr/bin").map(drop)
    });
    attempt("write to /etc", || write("/etc/escaped"));
    attempt("write to /tmp", || write("/tmp/escaped"));
    attempt("write to its own runtime directory", || {
        let own = env::var("RUNTIME_DIRECTORY").unwrap_or("/run".into());
        write(&format!("{own}/escaped"))
    });
    attempt("open a port", || TcpListener::bind("127.0.0.1:0").map(drop));
    attempt("connect to another port", || {
        TcpStream::connect(("127.0.0.1", closed)).map(drop)
    });
    attempt("connect to an abstract socket", || {
        let address = SocketAddr::from_abstract_name("escape")?;
        UnixStream::connect_addr(&address).map(drop)
    });
    attempt("execute a program", || {
        Command::new("/usr/bin/true").status().map(drop)
    });
    attempt("signal another process", || {
        Ok(test_kill_process(Pid::from_raw(other).unwrap())?)
    });
    attempt("trace another process", || trace(other));
    attempt("make a namespace", namespace);
    attempt("open a netlink socket", || {
        Ok(socket(AddressFamily::NETLINK, SocketType::RAW, None).map(drop)?)
    });
    attempt("open a packet socket", || {
        Ok(socket(AddressFamily::PACKET, SocketType::RAW, None).map(drop)?)
    });
    // What it is for has to go on working.
    attempt("look a name up", || read("/etc/hosts"));
}

fn attempt(what: &str, it: impl FnOnce() -> io::Result<()>) {
    match it() {
        Ok(()) => println!("open: {what}"),
        Err(error) => println!("closed: {what}: {error}"),
    }
}

fn read(path: &str) -> io::Result<()> {
    fs::File::open(path)?.read(&mut [0; 16]).map(drop)
}

fn write(path: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map(drop)
}

fn trace(process: i32) -> io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    #[expect(unsafe_code, reason = "no crate here has ptrace")]
    // SAFETY: PTRACE_SEIZE reads no memory of ours.
    match unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn namespace() -> io::Result<()> {
    #[expect(unsafe_code, reason = "no crate here has unshare")]
    // SAFETY: it shares no memory or descriptor differently.
    match unsafe { libc::unshare(libc::CLONE_NEWUSER) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
