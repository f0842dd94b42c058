//! Parse, run, exit.

use std::env;
use std::io::{Write, stdout};
use std::process::ExitCode;

use websockify::Done;

fn main() -> ExitCode {
    match websockify::run(env::args_os()) {
        Ok(Done::Text(text)) => {
            // A reader that went away (`--help | head`) is no failure.
            let _ = stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Done::Served(status)) => ExitCode::from(status),
        Err(failure) => {
            websockify::log::failed(&failure);
            failure.status()
        }
    }
}
