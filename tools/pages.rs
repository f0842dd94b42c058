//! Writes what the manual and the shells know from the program's own definitions: the options of
//! man/websockify.1, the variables of man/websockify.conf.5, the records of
//! man/websockify@.service.8, and completions/. What comes out is committed; the tests below fail
//! when it is not what would come out now.
//!
//! ```sh
//! cargo run --example pages
//! ```
//!
//! A page is prose by hand around regions, each between two comments, which are written anew. Not by
//! `clap_mangen`: it writes whole pages, in sentences of its own, and none about a file.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test ends at the first thing that is not as expected"
    )
)]

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::{Shell, generate};
use websockify::cli::Options;
use websockify::ctl;

#[path = "pages/mdoc.rs"]
mod mdoc; // the language of the pages

use mdoc::{Item, prose};

fn main() -> Result<(), Box<dyn Error>> {
    for (path, text) in generated()? {
        let path = Path::new(ROOT).join(path);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every file, whole, as it should be.
fn generated() -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let command = Options::command();
    let ctl = ctl::definition();
    let journal = read("docs/JOURNAL.md")?;
    let mut files = vec![
        page(
            "man/websockify.1",
            &[
                ("options", sections(&command, |it| Some(option(it)))),
                ("ctl", controls(&ctl)),
            ],
        )?,
        page(
            "man/websockify.conf.5",
            &[("variables", sections(&command, variable))],
        )?,
        page(
            "man/websockify@.service.8",
            &[("records", records(&journal)), ("fields", fields(&journal))],
        )?,
    ];
    for (path, shell) in [
        ("completions/websockify.bash", Shell::Bash),
        ("completions/_websockify", Shell::Zsh),
        ("completions/websockify.fish", Shell::Fish),
    ] {
        files.push((path, completion(shell, &command, &ctl)?));
    }
    Ok(files)
}

fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(Path::new(ROOT).join(path))
}

/// A page with its regions written anew.
fn page(
    path: &'static str,
    regions: &[(&str, String)],
) -> Result<(&'static str, String), Box<dyn Error>> {
    let mut text = read(path)?;
    for (name, inside) in regions {
        let begin = format!(".\\\" BEGIN {name}, by tools/pages.rs\n");
        let end = format!(".\\\" END {name}\n");
        let from = text.find(&begin).ok_or(format!("{path}: no {begin}"))? + begin.len();
        let to = text.find(&end).ok_or(format!("{path}: no {end}"))?;
        text.replace_range(from..to, inside);
    }
    Ok((path, text))
}

/// What the shell completes: all but what is not for people.
fn completion(shell: Shell, command: &Command, ctl: &Command) -> Result<String, Box<dyn Error>> {
    let shown = command.get_arguments().filter(|it| !it.is_hide_set());
    let options = Command::new("websockify")
        .version(env!("CARGO_PKG_VERSION"))
        .args(shown)
        // To `websockify` that is a host's name.
        .disable_help_subcommand(true);
    let generated = |mut command: Command, name: &str| {
        let mut script = Vec::new();
        generate(shell, &mut command, name, &mut script);
        String::from_utf8(script)
    };
    let ctl = ctl.clone().name("ctl");
    // In what is made for fish and zsh, nothing is completed behind a positional where there is a
    // subcommand that could have stood in its place.
    match shell {
        Shell::Zsh => {
            let alone = generated(ctl, "websockify_ctl")?;
            join_for_zsh(&generated(options, "websockify")?, &alone)
        }
        Shell::Fish => {
            let script = generated(options.subcommand(ctl), "websockify")?;
            let first = "-n \"__fish_websockify_needs_command\" -";
            let any = "-n \"not __fish_websockify_using_subcommand ctl\" -";
            // Words that take the subcommand's place are not options.
            Ok(script
                .replace(&format!("{first}s"), &format!("{any}s"))
                .replace(&format!("{first}l"), &format!("{any}l")))
        }
        _ => Ok(generated(options.subcommand(ctl), "websockify")?),
    }
}

/// Two scripts as one: the second is for what follows `ctl`, where that is the first word.
fn join_for_zsh(options: &str, ctl: &str) -> Result<String, Box<dyn Error>> {
    const BEGIN: &str = "_websockify() {\n";
    const END: &str = "\nif [ \"$funcstack[1]\" = ";
    let functions = ctl.find("_websockify_ctl() {").zip(ctl.find(END));
    let (from, to) = functions.ok_or("clap_complete writes zsh in another way")?;
    let (head, body) = options.split_once(BEGIN).ok_or("no function for zsh")?;
    let (body, tail) = body.split_once(END).ok_or("no end of what is for zsh")?;
    let choice = "    if (( CURRENT == 2 )); then
        compadd -X command ctl
    elif [[ $words[2] == ctl ]]; then
        shift words
        (( CURRENT-- ))
        _websockify_ctl
        return
    fi
";
    let functions = &ctl[from..to];
    Ok(format!(
        "{head}{BEGIN}{choice}{body}\n{functions}{END}{tail}"
    ))
}

/// Those that --help shows, with what it has them under.
fn headed(command: &Command) -> Vec<(&str, Vec<&Arg>)> {
    let mut groups: Vec<(&str, Vec<&Arg>)> = Vec::new();
    for argument in command.get_arguments().filter(|it| !it.is_hide_set()) {
        let heading = argument.get_help_heading().unwrap_or_default();
        match groups.iter_mut().find(|(it, _)| *it == heading) {
            Some((_, group)) => group.push(argument),
            None => groups.push((heading, vec![argument])),
        }
    }
    groups
}

/// A section for each heading, with an item for each argument that `item` has one for.
fn sections(command: &Command, item: fn(&Arg) -> Option<Item>) -> String {
    let mut page = String::new();
    for (heading, group) in headed(command) {
        if !heading.is_empty() {
            page += &format!(".Ss {heading}\n");
        }
        page += &mdoc::list(group.into_iter().filter_map(item));
    }
    page
}

fn option(argument: &Arg) -> Item {
    let value = value(argument);
    let mut head = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("Fl {short} , {}", mdoc::option(long)),
        (None, Some(long)) => mdoc::option(long),
        _ => String::new(),
    };
    if let Some(value) = value {
        head += if head.is_empty() { "" } else { " Ns = Ns " };
        head += &format!("Ar {value}");
    }
    Item {
        head,
        text: told(argument),
    }
}

fn variable(argument: &Arg) -> Option<Item> {
    let name = argument.get_env()?.to_str()?;
    let value = value(argument).map_or("Cm yes".to_owned(), |value| format!("Ar {value}"));
    let mut text = told(argument);
    if let Some(long) = argument.get_long() {
        text += &format!(".Pq {}\n", mdoc::option(long));
    }
    Some(Item {
        head: format!("Ev {name} Ns = Ns {value}"),
        text,
    })
}

/// What takes the place of its value; none for a switch.
fn value(argument: &Arg) -> Option<String> {
    let takes = argument.get_action().takes_values();
    let names = argument.get_value_names().filter(|_| takes)?;
    Some(names.join(" "))
}

/// Its help, and what it can be.
fn told(argument: &Arg) -> String {
    let value = value(argument).unwrap_or_default();
    let help = argument.get_help().map(ToString::to_string);
    let mut text = help.unwrap_or_default();
    text.push('.');
    if value.is_empty() {
        return prose(&text, &[]);
    }
    let possible = argument.get_possible_values();
    let names: Vec<_> = possible.iter().map(|it| it.get_name()).collect();
    if !names.is_empty() {
        text += &format!(" One of `{}`.", names.join("`, `"));
    }
    let defaults = argument.get_default_values();
    if let Some(default) = defaults.first().and_then(|it| it.to_str()) {
        text += &format!(" Default: `{default}`.");
    }
    prose(&text, &[&value])
}

fn controls(ctl: &Command) -> String {
    let about = |command: &Command| {
        let about = command.get_about().map(ToString::to_string);
        prose(&format!("{}.", about.unwrap_or_default()), &[])
    };
    let items = ctl.get_subcommands().map(|command| {
        let nested = mdoc::list(command.get_arguments().map(option));
        Item {
            head: format!("Cm {}", command.get_name()),
            text: about(command) + &nested,
        }
    });
    mdoc::list(items) + &mdoc::list(ctl.get_arguments().map(option))
}

/// The kinds of records, from the table.
fn records(journal: &str) -> String {
    let rows = table(journal, "| Record |");
    mdoc::list(rows.iter().map(|cells| {
        let mut text = cells[0].clone();
        text.push('.');
        if !cells[2].is_empty() {
            text += &format!(" {}.", cells[2]);
        }
        Item {
            head: format!("Li {}", cells[1].trim_matches('`')),
            text: prose(&text, &[]),
        }
    }))
}

fn fields(journal: &str) -> String {
    let rows = table(journal, "| Field |");
    mdoc::list(rows.iter().map(|cells| {
        let names = cells[0].split(", ").map(|name| name.trim_matches('`'));
        Item {
            head: format!("Ev {}", names.collect::<Vec<_>>().join(" , ")),
            text: prose(&format!("{}.", cells[1]), &[]),
        }
    }))
}

/// The rows of the Markdown table whose head begins so.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let lines = text.lines().skip_while(|line| !line.starts_with(head));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{generated, read};

    #[test]
    fn what_is_committed_is_what_would_come_out_now() {
        for (path, text) in generated().unwrap() {
            let committed = read(path).unwrap_or_default();
            assert!(
                committed == text,
                "{path} is out of date: cargo run --example pages"
            );
        }
    }
}
