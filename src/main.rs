//! Parse, run, exit.

use std::env;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match websockify::run(env::args_os()) {
        Ok(text) => {
            // A reader that went away (`--help | head`) is no failure.
            let _ = stdout().write_all(text.unwrap_or_default().as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // From inetd it may be the client's own stream: the exit status has to do.
            if !websockify::log::is_the_clients(stderr()) {
                let _ = writeln!(stderr(), "websockify: error: {failure}");
            }
            failure.status()
        }
    }
}
