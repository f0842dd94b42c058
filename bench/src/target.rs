//! The TCP server behind every peer. The first bytes of a connection say what it is to do.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sys::socket;

use crate::pattern::{LONGEST, Pattern};

/// What a target is asked for, by the client and through the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// Send `length` bytes of a pattern.
    Send { length: u64, period: u32 },
    /// Compare `length` bytes with a pattern, then answer [`RIGHT`] or [`WRONG`].
    Check { length: u64, period: u32 },
    /// Send everything back.
    Echo,
    /// Answer [`RIGHT`], then keep still until the target ends.
    Wait,
}

pub(crate) const RIGHT: u8 = b'r';
pub(crate) const WRONG: u8 = b'w';

const JOB_LENGTH: usize = 13;

impl Job {
    pub(crate) fn to_bytes(self) -> [u8; JOB_LENGTH] {
        let (kind, length, period) = match self {
            Self::Send { length, period } => (b'S', length, period),
            Self::Check { length, period } => (b'C', length, period),
            Self::Echo => (b'E', 0, 0),
            Self::Wait => (b'W', 0, 0),
        };
        let mut bytes = [kind; JOB_LENGTH];
        bytes[1..9].copy_from_slice(&length.to_le_bytes());
        bytes[9..].copy_from_slice(&period.to_le_bytes());
        bytes
    }

    fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let (mut kind, mut length, mut period) = ([0], [0; 8], [0; 4]);
        stream.read_exact(&mut kind)?;
        stream.read_exact(&mut length)?;
        stream.read_exact(&mut period)?;
        let (length, period) = (u64::from_le_bytes(length), u32::from_le_bytes(period));
        Ok(match kind[0] {
            b'S' => Self::Send { length, period },
            b'C' => Self::Check { length, period },
            b'E' => Self::Echo,
            b'W' => Self::Wait,
            other => return Err(io::Error::other(format!("a job of kind {other}"))),
        })
    }
}

/// A listening target; it takes no more connections once this value is gone.
#[derive(Debug)]
pub(crate) struct Target {
    listener: Arc<TcpListener>,
    waiting: Arc<Mutex<Vec<TcpStream>>>,
    pub(crate) port: u16,
}

impl Target {
    pub(crate) fn start() -> io::Result<Self> {
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
        let waiting = Arc::new(Mutex::new(Vec::new()));
        let port = listener.local_addr()?.port();
        let (accepting, kept) = (Arc::clone(&listener), Arc::clone(&waiting));
        thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                let kept = Arc::clone(&kept);
                // An error here is one at the client as well, which tells it.
                thread::spawn(move || drop(serve(stream, &kept)));
            }
        });
        Ok(Self {
            listener,
            waiting,
            port,
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // accept(2) returns from a listener that was shut down.
        let _ = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.clear();
        }
    }
}

fn serve(mut stream: TcpStream, waiting: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match Job::read(&mut stream)? {
        Job::Send { length, period } => {
            let pattern = Pattern::new(period as usize);
            let mut sent = 0;
            while sent < length {
                sent += stream.write(pattern.at(sent, length - sent))? as u64;
            }
            io::copy(&mut stream, &mut io::sink())?;
        }
        Job::Check { length, period } => {
            let pattern = Pattern::new(period as usize);
            let mut buffer = vec![0; LONGEST];
            let (mut got, mut right) = (0, true);
            while got < length {
                let n = stream.read(&mut buffer)?;
                if n == 0 {
                    return Ok(());
                }
                right &= pattern.is_at(got, &buffer[..n]);
                got += n as u64;
            }
            right &= got == length;
            stream.write_all(&[if right { RIGHT } else { WRONG }])?;
            io::copy(&mut stream, &mut io::sink())?;
        }
        Job::Echo => {
            let mut buffer = [0; 4096];
            while let n @ 1.. = stream.read(&mut buffer)? {
                stream.write_all(&buffer[..n])?;
            }
        }
        Job::Wait => {
            stream.write_all(&[RIGHT])?;
            if let Ok(mut waiting) = waiting.lock() {
                waiting.push(stream);
            }
        }
    }
    Ok(())
}
