//! What shells offer behind `websockify`, asked of the shells.

use std::process::Command;

use crate::machine;

const BASH: &str = r#"
source completions/websockify.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_websockify websockify "${@: -1}" "${@: -2:1}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

const FISH: &str = "source completions/websockify.fish; complete -C \"$argv\"";

/// zsh offers to people at a terminal only, so this has one. What is offered goes to a file.
const ZSH: &str = r#"
export OFFERED=$(mktemp)
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1= fpath=(completions $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w shell 'compadd() { builtin compadd -O said "$@"; print -rl -- $said >>$OFFERED; builtin compadd "$@" }'
zpty -w -n shell "$*"$'\t'
zpty -w shell ''
zpty -w shell 'print; print DONE-NOW'
while zpty -r shell line; do [[ $line != DONE-NOW* ]] || break; done
cat $OFFERED
rm $OFFERED
"#;

/// What the shell offers at the end of the last word; none where the machine has no such shell.
fn offered(shell: &str, words: &[&str]) -> Option<Vec<String>> {
    let script = match shell {
        "bash" => BASH,
        "fish" => FISH,
        _ => ZSH,
    };
    let mut command = Command::new(shell);
    command.args(["-c", script]);
    if shell != "fish" {
        command.arg(shell);
    }
    let output = command.args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let mut offered: Vec<String> = text
        .lines()
        .filter_map(|line| line.split('\t').next())
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect();
    offered.sort_unstable();
    offered.dedup();
    Some(offered)
}

fn each_shell_offers(words: &[&str], expected: &[&str], test: &str) {
    for shell in ["bash", "fish", "zsh"] {
        match offered(shell, words) {
            Some(offered) => assert_eq!(offered, expected, "{shell}: {words:?}"),
            None => machine::skip(test, &format!("there is no {shell} here")),
        }
    }
}

#[test]
fn an_option_is_completed_also_behind_a_port() {
    each_shell_offers(
        &["websockify", "6080", "--unix-"],
        &["--unix-listen", "--unix-listen-mode", "--unix-target"],
        "completions::an_option_is_completed_also_behind_a_port",
    );
}

#[test]
fn an_options_values_are_offered() {
    each_shell_offers(
        &["websockify", "--wrap-mode", ""],
        &["exit", "ignore", "respawn"],
        "completions::an_options_values_are_offered",
    );
}

#[test]
fn what_is_not_for_people_is_not_offered() {
    each_shell_offers(
        &["websockify", "--ref"],
        &[],
        "completions::what_is_not_for_people_is_not_offered",
    );
}

#[test]
fn the_word_ctl_and_what_follows_it_are_offered() {
    let test = "completions::the_word_ctl_and_what_follows_it_are_offered";
    each_shell_offers(&["websockify", "ct"], &["ctl"], test);
    each_shell_offers(&["websockify", "ctl", "k"], &["kill"], test);
    each_shell_offers(
        &["websockify", "ctl", "kill", "--t"],
        &["--target", "--token"],
        test,
    );
    each_shell_offers(&["websockify", "ctl", "--c"], &["--control-socket"], test);
}
