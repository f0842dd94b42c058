//! The places that an instance's file has the service write to: its unit lets it change nothing on
//! disk but directories of its own and what a drop-in adds.

use std::path::{Path, PathBuf};

use super::Instance;
use crate::error::Failure;

/// The variables that name a file to write.
const WRITTEN: &[&str] = &[
    "WEBSOCKIFY_RECORD",
    "WEBSOCKIFY_LOG_FILE",
    "WEBSOCKIFY_PID_FILE",
    "WEBSOCKIFY_CONTROL_SOCKET",
];

/// Properties that list directories of the service's own, and where those are (systemd.exec(5)).
const OWN: &[(&str, &str)] = &[
    ("StateDirectory", "/var/lib"),
    ("LogsDirectory", "/var/log"),
    ("RuntimeDirectory", "/run"),
    ("CacheDirectory", "/var/cache"),
];

/// What `ProtectSystem=strict` leaves writable, and `PrivateTmp=` makes anew.
const ALWAYS: &[&str] = &["/dev", "/proc", "/sys", "/tmp", "/var/tmp"];

const PROPERTIES: &str = "ProtectSystem,StateDirectory,LogsDirectory,RuntimeDirectory,\
    CacheDirectory,ReadWritePaths,BindPaths,TemporaryFileSystem";

impl Instance {
    /// Judges whether the unit lets the service write what it is to write.
    pub(super) fn can_be_written(&self) -> Result<(), Failure> {
        if WRITTEN.iter().all(|name| self.value(name).is_none()) {
            return Ok(());
        }
        self.is_written_where(&self.shown(PROPERTIES))
    }

    /// `shown` is what systemctl(1) says of the unit.
    fn is_written_where(&self, shown: &str) -> Result<(), Failure> {
        let path = self.path.display();
        // Those may put anything anywhere. An empty one may have no line.
        let rearranged = shown.lines().any(|line| {
            let value = line
                .strip_prefix("BindPaths=")
                .or_else(|| line.strip_prefix("TemporaryFileSystem="));
            value.is_some_and(|value| !value.is_empty())
        });
        if shown.is_empty() {
            log::warn!("{path}: the service manager does not say where the service may write");
            return Ok(());
        }
        if !shown.lines().any(|line| line == "ProtectSystem=strict") {
            return Ok(());
        }
        let writable = writable(shown);
        for name in WRITTEN {
            let Some(place) = self.value(name) else {
                continue;
            };
            // The service's working directory.
            let file = real(&Path::new("/").join(place));
            if writable.iter().any(|directory| file.starts_with(directory)) {
                continue;
            }
            let sentence = format!(
                "{path}: {name}={place}: the service may not write there: by 'systemctl edit \
                 websockify@{}.service', give it StateDirectory=websockify/%i and write beneath \
                 /var/lib/websockify/{0}, or name the directory in ReadWritePaths=",
                self.name
            );
            if !rearranged {
                return Err(Failure::start(sentence));
            }
            log::warn!("{sentence} (unless its drop-ins let it)");
        }
        Ok(())
    }
}

/// The directories beneath which the service may write. They may not be there yet.
fn writable(shown: &str) -> Vec<PathBuf> {
    let mut writable: Vec<PathBuf> = ALWAYS.iter().map(PathBuf::from).collect();
    for (property, list) in shown.lines().filter_map(|line| line.split_once('=')) {
        let own = OWN.iter().find(|(name, _)| *name == property);
        for word in list.split_whitespace() {
            if let Some((_, parent)) = own {
                // Behind a colon: a link to it.
                writable.extend(word.split(':').map(|it| real(&Path::new(parent).join(it))));
            } else if property == "ReadWritePaths" {
                writable.push(real(Path::new(word.trim_start_matches(['-', '+']))));
            }
        }
    }
    writable
}

/// Where a path leads, as far as it is there: a state directory of `DynamicUser=` is a link, and so
/// may be what is above.
fn real(path: &Path) -> PathBuf {
    let known = path
        .ancestors()
        .find_map(|it| Some((it, it.canonicalize().ok()?)));
    let Some((known, real)) = known else {
        return path.to_owned();
    };
    match path.strip_prefix(known) {
        // Joined to nothing it would end in a slash.
        Ok(rest) if rest != Path::new("") => real.join(rest),
        _ => real,
    }
}

#[cfg(test)]
mod tests {
    use super::Instance;

    const TEMPLATE: &str = "RuntimeDirectory=websockify/1\nStateDirectory=\nProtectSystem=strict\n\
        ReadWritePaths=\nBindPaths=\nTemporaryFileSystem=\n";

    fn judged(lines: &[(&str, &str)], shown: &str) -> String {
        let judged = Instance::of("1", lines).is_written_where(shown);
        judged.map_or_else(|failure| failure.to_string(), |()| String::new())
    }

    #[test]
    fn what_the_sandbox_makes_read_only_is_refused() {
        for line in [
            ("RECORD", "/var/log/session"),
            ("RECORD", "session"),
            ("LOG_FILE", "/var/log/websockify.log"),
            ("PID_FILE", "/run/websockify.pid"),
            ("CONTROL_SOCKET", "/run/websockify/12/control"),
        ] {
            let said = judged(&[line], TEMPLATE);
            assert!(said.contains("may not write there"), "{line:?}: {said}");
        }
    }

    #[test]
    fn what_the_unit_makes_writable_is_not() {
        let state = TEMPLATE.replace("StateDirectory=", "StateDirectory=a websockify/1");
        let more = TEMPLATE.replace("ReadWritePaths=", "ReadWritePaths=/srv/a -/srv/b");
        for (line, shown) in [
            (("RECORD", "/var/lib/websockify/1/session"), &state[..]),
            (("RECORD", "/srv/b/session"), &more),
            (("PID_FILE", "/run/websockify/1/pid"), TEMPLATE),
            (("LOG_FILE", "/dev/null"), TEMPLATE),
            (
                ("LOG_FILE", "/var/log/l"),
                "ProtectSystem=full\nBindPaths=\n",
            ),
            // What cannot be judged is a warning.
            (("LOG_FILE", "/var/log/l"), ""),
            (
                ("LOG_FILE", "/var/log/l"),
                &TEMPLATE.replace("BindPaths=", "BindPaths=/srv:/var/log:rbind"),
            ),
        ] {
            assert_eq!(judged(&[line], shown), "", "{line:?}");
        }
    }

    #[test]
    fn a_link_leads_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("private/1")).unwrap();
        std::os::unix::fs::symlink("private/1", root.join("1")).unwrap();
        assert_eq!(super::real(&root.join("1/x/y")), root.join("private/1/x/y"));
        assert_eq!(super::real(&root.join("1")), root.join("private/1"));
    }
}
