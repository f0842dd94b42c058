//! What to run, and with what around it.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::log::escape::Escaped;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    words: Vec<String>,
}

impl Program {
    /// Reads a program and its arguments, quoted as in a shell; no shell runs them. `option` is
    /// for the sentence.
    ///
    /// # Errors
    /// One sentence.
    pub fn parse(line: &str, option: &str) -> Result<Self, String> {
        let words = shell_words::split(line)
            .map_err(|_| format!("Exec: a quote is not closed in {option}"))?;
        if words.first().is_none_or(String::is_empty) || line.contains('\0') {
            return Err(format!("Exec needs {option}='PROGRAM ARGUMENTS…'"));
        }
        Ok(Self { words })
    }

    /// One that was judged already.
    pub(super) fn of(words: Vec<String>) -> Self {
        Self { words }
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Starts it in a process group of its own, so that what it starts is ended with it.
    pub(super) fn spawn(&self) -> io::Result<Child> {
        let mut words = self.words.iter();
        Command::new(words.next().map_or("", String::as_str))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }
}

/// The file's name alone: arguments are long, and may say more than a log should.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.words.first().map_or("", String::as_str);
        let name = Path::new(first).file_name();
        let name = name.map_or(first.into(), |name| name.to_string_lossy());
        Escaped(&name).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn words_are_quoted_as_in_a_shell_and_the_name_is_the_files() {
        let program = Program::parse("/usr/bin/my\\ check 'a b' \"c\" $HOME", "--x").unwrap();
        assert_eq!(program.words, ["/usr/bin/my check", "a b", "c", "$HOME"]);
        assert_eq!(program.to_string(), "my check");
        for line in ["", "  ", "''", "check 'a", "ch\0eck"] {
            let error = Program::parse(line, "--auth-source").unwrap_err();
            assert!(error.contains("--auth-source"), "{line}: {error}");
        }
    }
}
