//! What an instance's helpers (websockify-helper(7)) have to be allowed to execute: the unit lets
//! nothing be executed but the bridge.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Instance;
use crate::error::Failure;
use crate::{executable, limits};

/// Where a service's programs are looked for (systemd.exec(5), `Environment=`).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Instance {
    /// The helpers' command lines.
    pub(super) fn helpers(&self) -> Vec<&str> {
        let value = |name| self.value(name).unwrap_or_default();
        let doors = value("WEBSOCKIFY_AUTH_PLUGIN").split(',');
        let mut pairs: Vec<_> = doors.zip(value("WEBSOCKIFY_AUTH_SOURCE").lines()).collect();
        pairs.push((
            value("WEBSOCKIFY_TOKEN_PLUGIN"),
            value("WEBSOCKIFY_TOKEN_SOURCE"),
        ));
        let asked = pairs.iter().filter(|(class, _)| is_helper(class));
        asked.map(|(_, source)| *source).collect()
    }

    /// The files that starting the helpers executes, as far as they can be found now.
    pub(super) fn executed(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for program in self.programs() {
            let mut next = find(program.as_ref());
            for _ in 0..executable::INTERPRETERS {
                let Some(file) = next.take().filter(|file| !found.contains(file)) else {
                    break;
                };
                let line = beginning(&file);
                found.push(file);
                let words = executable::script(&line).unwrap_or_default();
                let mut words = words.into_iter().map(OsStr::from_bytes);
                next = words.next().map(PathBuf::from);
                if let Some(env) = next.take_if(|it| it.ends_with("env")) {
                    found.push(env);
                    // env(1): options and variables come first.
                    let is_name = |it: &&OsStr| {
                        !it.as_bytes().starts_with(b"-") && !it.as_bytes().contains(&b'=')
                    };
                    next = words.find(is_name).and_then(find);
                }
            }
        }
        found
    }

    /// Judges whether they can be executed at all.
    ///
    /// # Errors
    /// One sentence that names the file and what to do.
    pub(super) fn can_be_executed(&self) -> Result<(), Failure> {
        let path = self.path.display();
        for program in self.programs() {
            if find(program.as_ref()).is_none() {
                return Err(Failure::start(format!(
                    "{path}: there is no helper {program} in {PATH}: give its whole path"
                )));
            }
        }
        for file in self.executed() {
            let cannot = match file.metadata() {
                Err(error) => error.to_string(),
                Ok(found) if !found.is_file() => "it is not a file".to_owned(),
                Ok(found) if !executable::is_executable(&found) => {
                    "it is not executable (chmod +x makes it so)".to_owned()
                }
                Ok(_) => continue,
            };
            return Err(Failure::start(format!(
                "{path}: a helper needs {}, which cannot be run: {cannot}",
                file.display()
            )));
        }
        Ok(())
    }

    /// The helpers' names, as they are written.
    fn programs(&self) -> Vec<String> {
        let first = |line: &&str| shell_words::split(line).ok()?.into_iter().next();
        self.helpers().iter().filter_map(first).collect()
    }
}

/// Whether a plugin asks a program.
pub(super) fn is_helper(class: &str) -> bool {
    class.rsplit('.').next() == Some("Exec")
}

/// Whether the file is read by an interpreter, which then needs to.
pub(super) fn is_script(file: &Path) -> bool {
    executable::script(&beginning(file)).is_some()
}

/// As execvp(3) does: a name without a slash is looked for.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(program.into());
    }
    executable::find(program, PATH.as_ref())
}

/// Empty where it cannot be read: of that, its start tells.
fn beginning(file: &Path) -> Vec<u8> {
    executable::beginning(file, limits::SCRIPT_LINE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::Instance;

    fn instance(lines: &[(&str, &str)]) -> Instance {
        Instance::of("1", lines)
    }

    #[test]
    fn a_helper_that_cannot_be_executed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let refused = |program: &str| {
            let source = ("TOKEN_SOURCE", program);
            let judged = instance(&[("TOKEN_PLUGIN", "Exec"), source]).can_be_executed();
            judged.map_or_else(|failure| failure.to_string(), |()| String::new())
        };
        let (script, pipe) = (path("script"), path("pipe"));
        fs::write(&script, "#!/no/interpreter\n").unwrap();
        for (program, says) in [
            (
                "no-such-program",
                "there is no helper no-such-program in /usr/local/sbin",
            ),
            (
                "/no/such --option",
                "/no/such, which cannot be run: No such file",
            ),
            ("/usr", "it is not a file"),
            (&script, "chmod +x"),
        ] {
            let said = refused(program);
            assert!(said.contains(says), "{program}: {said}");
        }
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let said = refused(&script);
        assert!(
            said.contains("/no/interpreter, which cannot be run"),
            "{said}"
        );
        assert_eq!(refused("sh -c true"), "");
        // Nobody writes to it: whoever waited for that would wait for ever.
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(pipe.as_str(), mode).unwrap();
        assert!(refused(&pipe).contains("it is not a file"));
    }

    #[test]
    fn a_helper_its_interpreter_and_nothing_else_is_executed() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.into_os_string().into_string().unwrap()
        };
        let shell = script("shell", "#! /bin/sh -e\nexit\n");
        let by_env = script("by env", "#!/usr/bin/env -S A=1 sh -e\n");
        let nested = script("nested", &format!("#!{shell}\n"));
        let round = script("round", "");
        fs::write(&round, format!("#!{round}\n")).unwrap();
        let sh = ["/usr/bin/sh", "/bin/sh"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap();
        let executed = |lines: &[(&str, &str)]| instance(lines).executed();
        let token = |source: &str| executed(&[("TOKEN_PLUGIN", "Exec"), ("TOKEN_SOURCE", source)]);
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(token(&format!("{shell} word")), paths(&[&shell, "/bin/sh"]));
        assert_eq!(
            token(&format!("'{by_env}'")),
            paths(&[&by_env, "/usr/bin/env", sh])
        );
        assert_eq!(token(&nested), paths(&[&nested, &shell, "/bin/sh"]));
        assert_eq!(token(&round), paths(&[&round]));
        assert_eq!(token("sh -c true"), paths(&[sh]));
        assert_eq!(token("/no/such"), paths(&["/no/such"]));
        for nothing in ["", "no-such-program", "'open"] {
            assert_eq!(token(nothing), paths(&[]), "{nothing}");
        }
        let doors = [
            ("AUTH_PLUGIN", "ExpectOrigin,websockify.auth_plugins.Exec"),
            ("AUTH_SOURCE", "https://h\n/no/such helper"),
        ];
        assert_eq!(executed(&doors), paths(&["/no/such"]));
        let others = [("TOKEN_PLUGIN", "TokenFile"), ("TOKEN_SOURCE", "/no/such")];
        assert_eq!(executed(&others), paths(&[]));
    }
}
