//! Writes what is made from the one definition of the options: completions for shells.
//!
//! ```sh
//! cargo run --example pages               # writes them into the checkout
//! cargo run --example pages -- --check    # fails unless they are there already
//! ```

use std::path::Path;
use std::{env, fs, io};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use websockify::{cli, ctl};

/// The files; bash looks for its own without the extension.
const COMPLETIONS: &[(Shell, &str)] = &[
    (Shell::Bash, "completions/websockify.bash"),
    (Shell::Zsh, "completions/_websockify"),
    (Shell::Fish, "completions/websockify.fish"),
];

fn main() -> io::Result<()> {
    let only_check = env::args().nth(1).is_some_and(|word| word == "--check");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in pages() {
        let path = checkout.join(name);
        if fs::read(&path).is_ok_and(|found| found == text) {
            continue;
        }
        if only_check {
            return Err(io::Error::other(format!(
                "{name} is old: run `cargo run --example pages`"
            )));
        }
        fs::write(&path, text)?;
    }
    Ok(())
}

/// Each page's place in the checkout, and its text.
fn pages() -> Vec<(&'static str, Vec<u8>)> {
    let completion = |(shell, path): &(Shell, &'static str)| {
        let mut text = Vec::new();
        let mut command = match shell {
            Shell::Bash => options().subcommand(ctl::definition().name("ctl")),
            // In what is made for them, nothing is completed behind a positional where there is a
            // subcommand that could have stood in its place.
            _ => options(),
        };
        generate(*shell, &mut command, "websockify", &mut text);
        (*path, text)
    };
    COMPLETIONS.iter().map(completion).collect()
}

/// Without what is not for people.
fn options() -> Command {
    let options = cli::Options::command();
    let shown = options.get_arguments().filter(|it| !it.is_hide_set());
    Command::new("websockify")
        .version(env!("CARGO_PKG_VERSION"))
        .args(shown)
        // To `websockify` that is a host's name.
        .disable_help_subcommand(true)
}
