//! The program that an instance wraps: `websockify-program@.service` runs it, and this says how.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::listening::Listening;
use super::{FOLDER, Instance};
use crate::error::Failure;
use crate::limits;
use crate::wrap::elsewhere;

/// A wrapped program, as it can be run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    words: Vec<String>,
    user: String,
    end: End,
    /// The port that is moved out of our socket's way; none where the file says where the program
    /// listens.
    moves: Option<u16>,
}

/// What the program's end means (`WEBSOCKIFY_WRAP_MODE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Exit,
    Ignore,
    Respawn,
}

impl Instance {
    /// What the file says of a program, if it does.
    ///
    /// # Errors
    /// One sentence that names the file and what to do.
    pub(super) fn program(&self) -> Result<Option<Program>, Failure> {
        let Some(command) = self.value(elsewhere::VARIABLE) else {
            return Ok(None);
        };
        let path = self.path.display();
        let words = elsewhere::words(command)?;
        let user = self.value("WEBSOCKIFY_WRAP_USER").ok_or_else(|| {
            Failure::start(format!(
                "{path} does not say whose program {} is: add a line WEBSOCKIFY_WRAP_USER=, with a \
                 user's name",
                words.first().map_or("", String::as_str)
            ))
        })?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        if !user.bytes().all(plain) {
            return Err(Failure::start(format!(
                "{path}: WEBSOCKIFY_WRAP_USER={user} is no user's name"
            )));
        }
        let says_where = ["WEBSOCKIFY_TARGET", "WEBSOCKIFY_UNIX_TARGET"]
            .iter()
            .any(|name| self.value(name).is_some());
        let moves = match Listening::of(self)? {
            Listening::Port(port) | Listening::Address(_, port) => Some(port),
            Listening::Unix(_) => None,
        };
        Ok(Some(Program {
            words,
            user: user.to_owned(),
            end: match self.value("WEBSOCKIFY_WRAP_MODE") {
                Some("ignore") => End::Ignore,
                Some("respawn") => End::Respawn,
                _ => End::Exit,
            },
            moves: moves.filter(|_| !says_where),
        }))
    }
}

impl Program {
    /// Judges it: whether it is there, and its user, and nobody else's program is moved to its port.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn judge(&self, instance: &Instance) -> Result<(), Failure> {
        elsewhere::judge(
            self.words.first().map_or("", String::as_str),
            &self.user,
            self.moves.is_some(),
        )?;
        let Some(port) = self.moves else {
            return Ok(());
        };
        for other in others(&instance.name) {
            let theirs = other.program().ok().flatten().and_then(|it| it.moves);
            if theirs.map(elsewhere::moved) == Some(elsewhere::moved(port)) && is_in_use(&other) {
                return Err(Failure::start(format!(
                    "{}: the port of its program would be moved to where {} has its own: listen on \
                     another port",
                    instance.path.display(),
                    other.path.display()
                )));
            }
        }
        Ok(())
    }

    /// The lines of the socket's `[Unit]`.
    pub(super) fn of_socket(&self, name: &str) -> String {
        let bound = match self.end {
            // As by hand: when it ends, all ends.
            End::Exit => "BindsTo",
            End::Ignore | End::Respawn => "Wants",
        };
        format!("{bound}=websockify-program@{name}.service\n")
    }

    /// The lines of the bridge's `[Unit]`.
    pub(super) fn of_bridge(name: &str) -> String {
        format!("After=websockify-program@{name}.service\n")
    }

    /// The `[Service]` of its own unit.
    pub(super) fn service(&self) -> String {
        let (setting, ignored) = match self.end {
            End::Exit => ("", ""),
            // It may have gone to the background; whatever it said, it goes on.
            End::Ignore => ("RemainAfterExit=yes\n", "-"),
            End::Respawn => ("Restart=always\n", ""),
        };
        // The empty line takes back the template's. The colon: a dollar is a dollar.
        let mut text = format!("[Service]\n{setting}ExecStart=\nExecStart={ignored}:");
        for (at, word) in self.words.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            let _ = write!(text, "{space}{}", quoted(word));
        }
        let _ = write!(text, "\nUser={}\n", self.user);
        if let (Some(port), Ok(library)) = (self.moves, elsewhere::library()) {
            let [old, new] = elsewhere::variables();
            let library = quoted(&format!("LD_PRELOAD={}", library.display()));
            let moved = elsewhere::moved(port);
            let _ = writeln!(text, "Environment={library} {old}={port} {new}={moved}");
        }
        text
    }
}

/// One word of a unit's line (systemd.syntax(7)), in which nothing is special any more.
fn quoted(word: &str) -> String {
    let mut text = String::from('"');
    for character in word.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '%' => text.push_str("%%"),
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

fn others(name: &str) -> impl Iterator<Item = Instance> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    entries.take(limits::INSTANCES).filter_map(move |entry| {
        let file = entry.file_name();
        let other = file.to_str()?.strip_suffix(".conf")?;
        Instance::read(Path::new(FOLDER), other)
            .ok()
            .filter(|_| other != name)
    })
}

/// Whether its program runs or is to run: only what systemd says it has neither started nor been told
/// to is out of the way.
fn is_in_use(instance: &Instance) -> bool {
    let shown = Command::new("systemctl")
        .arg("show")
        .arg("--property=ActiveState,UnitFileState")
        .arg(format!("websockify@{}.socket", instance.name))
        .output();
    let shown = shown.map(|shown| String::from_utf8_lossy(&shown.stdout).into_owned());
    let shown = shown.unwrap_or_default();
    let says = |line| shown.lines().any(|it| it == line);
    let ended = says("ActiveState=inactive") || says("ActiveState=failed");
    !(ended && says("UnitFileState=disabled"))
}

#[cfg(test)]
mod tests {
    use super::{Instance, quoted};

    fn instance(lines: &[(&str, &str)]) -> Instance {
        Instance::of("5901", lines)
    }

    #[test]
    fn what_the_end_of_a_program_means() {
        for (mode, socket, service) in [
            ("", "BindsTo", "[Service]\nExecStart=\nExecStart=:\"a\"\n"),
            (
                "exit",
                "BindsTo",
                "[Service]\nExecStart=\nExecStart=:\"a\"\n",
            ),
            (
                "ignore",
                "Wants",
                "RemainAfterExit=yes\nExecStart=\nExecStart=-:\"a\"\n",
            ),
            (
                "respawn",
                "Wants",
                "Restart=always\nExecStart=\nExecStart=:\"a\"\n",
            ),
        ] {
            let lines = [("WRAP", "a"), ("WRAP_USER", "alice"), ("WRAP_MODE", mode)];
            let program = instance(&lines).program().unwrap().unwrap();
            assert!(program.of_socket("5901").starts_with(socket), "{mode}");
            let text = program.service();
            assert!(text.contains(service), "{mode}: {text}");
            assert!(text.contains("\nUser=alice\n"), "{text}");
        }
    }

    #[test]
    fn a_port_is_moved_unless_the_file_says_where_the_program_listens() {
        let moves = |more: &[(&str, &str)]| {
            let lines = [&[("WRAP", "a"), ("WRAP_USER", "alice")][..], more].concat();
            instance(&lines).program().unwrap().unwrap().moves
        };
        assert_eq!(moves(&[]), Some(5901));
        assert_eq!(moves(&[("LISTEN", "192.0.2.1:80")]), Some(80));
        assert_eq!(moves(&[("TARGET", "localhost:5902")]), None);
        assert_eq!(moves(&[("UNIX_TARGET", "/run/a")]), None);
    }

    #[test]
    fn what_it_is_told_is_in_no_error() {
        let failure = instance(&[("WRAP", "a --password secret")]).program();
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("whose program a is: "), "{text}");
    }

    #[test]
    fn nothing_else_gets_into_a_unit() {
        assert!(instance(&[("TARGET", "h:1")]).program().unwrap().is_none());
        for lines in [
            &[("WRAP", "a")][..],
            &[("WRAP", "a"), ("WRAP_USER", "alice\nExecStartPre=/bin/sh")],
            &[("WRAP", "a\nUser=root"), ("WRAP_USER", "alice")],
            &[("WRAP", "+a"), ("WRAP_USER", "alice")],
            &[("WRAP", "a"), ("WRAP_USER", "%i")],
        ] {
            assert!(instance(lines).program().is_err(), "{lines:?}");
        }
        assert_eq!(quoted(r#"%i "$HOME\ ;"#), r#""%%i \"$HOME\\ ;""#);
    }
}
