//! Parse, run, exit.

use std::env;
use std::io::{Write, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match websockify::run(env::args_os()) {
        Ok(text) => {
            // A reader that went away (`--help | head`) is no failure.
            let _ = stdout().write_all(text.unwrap_or_default().as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            websockify::log::failed(&failure);
            failure.status()
        }
    }
}
