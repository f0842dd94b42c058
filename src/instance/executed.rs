//! What an instance's helpers (websockify-helper(7)) have to be allowed to execute: the unit lets
//! nothing be executed but the bridge.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::Instance;
use crate::limits;

/// Where a service's programs are looked for (systemd.exec(5), `Environment=`).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Scripts whose interpreter is a script: the kernel's own number.
const INTERPRETERS: usize = 4;

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
        let words = |line: &&str| shell_words::split(line).ok()?.into_iter().next();
        let mut found = Vec::new();
        for program in self.helpers().iter().filter_map(words) {
            let mut next = find(&program);
            for _ in 0..INTERPRETERS {
                let Some(file) = next.take().filter(|file| !found.contains(file)) else {
                    break;
                };
                let interpreter = interpreter(&file).unwrap_or_default();
                found.push(file);
                let mut words = interpreter.split([' ', '\t']).filter(|it| !it.is_empty());
                next = words.next().map(PathBuf::from);
                if let Some(env) = next.take_if(|it| it.ends_with("env")) {
                    found.push(env);
                    // env(1): options and variables come first.
                    next = words
                        .find(|it| !it.starts_with('-') && !it.contains('='))
                        .and_then(find);
                }
            }
        }
        found
    }
}

/// Whether a plugin asks a program.
pub(super) fn is_helper(class: &str) -> bool {
    class.rsplit('.').next() == Some("Exec")
}

/// As execvp(3) does: a name without a slash is looked for.
fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(program.into());
    }
    let mut folders = PATH
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    folders.find(|path| path.is_file())
}

/// What stands behind `#!` (execve(2)).
fn interpreter(file: &Path) -> Option<String> {
    let mut beginning = Vec::new();
    File::open(file)
        .ok()?
        .take(limits::SCRIPT_LINE)
        .read_to_end(&mut beginning)
        .ok()?;
    let line = beginning.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?.to_vec();
    std::ffi::OsString::from_vec(line).into_string().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::Instance;

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
        let executed = |lines: &[(&str, &str)]| {
            let lines = lines.iter();
            let instance = Instance {
                name: "1".into(),
                path: "/etc/websockify/1.conf".into(),
                variables: lines
                    .map(|(key, value)| (format!("WEBSOCKIFY_{key}"), (*value).to_owned()))
                    .collect(),
            };
            instance.executed()
        };
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
