//! `websockify-generator` (systemd.generator(7)): what an instance's file says that only units can,
//! as drop-ins. It runs early in the boot: it reads these files, and of helpers the line that names
//! their interpreter, and whatever is there, it ends in a moment and with success. `--check-instance`
//! tells what was wrong.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use super::executed::is_helper;
use super::listening::Listening;
use super::program::Program;
use super::{FOLDER, Instance, can_be_named};
use crate::limits;
use crate::systemd::credentials;
use crate::target::{Target, known_addresses};
use crate::wrap::elsewhere;

/// The word that makes this program the generator; `systemd/websockify-generator` says it.
pub const WORD: &str = "--generate-units";

/// What else may reach the network from a service, or more of it than its target.
const NETWORKED: &[&str] = &[
    "WEBSOCKIFY_TOKEN_PLUGIN",
    "WEBSOCKIFY_TARGET_CONFIG",
    "WEBSOCKIFY_SYSLOG",
];

/// Writes the drop-ins of every instance beneath `units`.
pub fn generate(units: &Path) {
    let Ok(entries) = fs::read_dir(FOLDER) else {
        return;
    };
    for entry in entries.flatten().take(limits::INSTANCES) {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".conf"));
        let Some(instance) = name.and_then(|name| Instance::read(Path::new(FOLDER), name).ok())
        else {
            continue;
        };
        let name = &instance.name;
        // What is wrong with it fails the socket's check.
        let program = instance.program().ok().flatten();
        let socket = program
            .as_ref()
            .map_or(String::new(), |it| it.of_socket(name));
        let bridge = program
            .as_ref()
            .map_or(String::new(), |_| Program::of_bridge(name));
        let mut texts = vec![
            (
                format!("websockify@{name}.socket"),
                socket + &instance.socket(),
            ),
            (
                format!("websockify@{name}.service"),
                bridge + instance.modules() + &instance.service(),
            ),
        ];
        if let Some(program) = program {
            let unit = format!("websockify-program@{name}.service");
            texts.push((unit, program.service()));
        }
        for (unit, text) in texts {
            // A full or missing disk is the manager's to complain about.
            let _ = drop_in(units, &instance, &unit, &text);
        }
    }
}

/// Writes one; `text` begins in `[Unit]`.
fn drop_in(units: &Path, instance: &Instance, unit: &str, text: &str) -> io::Result<()> {
    let folder = units.join(format!("{unit}.d"));
    fs::create_dir_all(&folder)?;
    let path = instance.path.display();
    let head = format!("# By websockify-generator, from {path}\n[Unit]\nSourcePath={path}\n");
    fs::write(folder.join("50-websockify.conf"), head + text)
}

impl Instance {
    pub(super) fn socket(&self) -> String {
        let mut text = String::from("[Socket]\n");
        if let Ok(listening) = Listening::of(self) {
            // The empty line takes back the template's.
            let _ = write!(text, "ListenStream=\nListenStream={}\n", listening.stream());
            if matches!(listening, Listening::Unix(_)) {
                // The template's are TCP's; systemd would complain.
                text.push_str("NoDelay=no\nKeepAlive=no\n");
                let mode = self.value("WEBSOCKIFY_UNIX_LISTEN_MODE").unwrap_or("0600");
                let mode = mode.strip_prefix("0o").unwrap_or(mode);
                if u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o777) {
                    let _ = writeln!(text, "SocketMode={mode}");
                }
            }
        }
        text
    }

    /// Sessions inside TLS outlive the service where the kernel does TLS. What modprobe.d(5) says
    /// against that holds, and it is no failure.
    fn modules(&self) -> &'static str {
        // What a token stands for may be a target with TLS.
        let tls = [
            "WEBSOCKIFY_CERT",
            "WEBSOCKIFY_SSL_TARGET",
            "WEBSOCKIFY_TOKEN_PLUGIN",
            "WEBSOCKIFY_TARGET_CONFIG",
        ];
        if tls.iter().any(|name| self.value(name).is_some()) {
            "Wants=modprobe@tls.service\nAfter=modprobe@tls.service\n"
        } else {
            ""
        }
    }

    pub(super) fn service(&self) -> String {
        let mut text = String::from("[Service]\n");
        let copied = self.perhaps_directories();
        let mut loaded = self.credentials();
        loaded.retain(|path| !copied.contains(path));
        for path in loaded {
            if let Some(name) = credentials::name(path) {
                let encrypted = if credentials::is_encrypted(path) {
                    "Encrypted"
                } else {
                    ""
                };
                let _ = writeln!(text, "LoadCredential{encrypted}={name}:{path}");
            }
        }
        let executed = self.executed();
        for path in executed.iter().filter_map(|path| path.to_str()) {
            if can_be_named(path) {
                // Of a missing one the bridge tells.
                let _ = writeln!(text, "ExecPaths=-{path}");
            }
        }
        if !executed.is_empty() {
            // They answer until the last session has ended.
            text.push_str("KillMode=mixed\n");
        }
        if let (false, Ok(program)) = (copied.is_empty(), env::current_exe()) {
            let _ = writeln!(
                text,
                "ExecStartPre=+{} --refresh-credentials {}",
                // Beside us; `systemd/websockify-instance` says why it is another file.
                program.with_file_name("websockify-instance").display(),
                self.name
            );
        }
        text.push_str(match self.reach() {
            Reach::Anywhere => "",
            Reach::Loopback => "IPAddressDeny=any\nIPAddressAllow=localhost\n",
            Reach::Unix => {
                "IPAddressDeny=any\nPrivateNetwork=yes\nRestrictAddressFamilies=\n\
                 RestrictAddressFamilies=AF_UNIX\n"
            }
        });
        text
    }

    fn reach(&self) -> Reach {
        let plugins = self.value("WEBSOCKIFY_AUTH_PLUGIN").unwrap_or_default();
        let helper = plugins.split(',').any(is_helper);
        if helper || NETWORKED.iter().any(|name| self.value(name).is_some()) {
            return Reach::Anywhere;
        }
        match (
            self.value("WEBSOCKIFY_TARGET").map(Target::parse),
            self.value("WEBSOCKIFY_UNIX_TARGET"),
        ) {
            (None, Some(_)) => Reach::Unix,
            // Of a wrapped program, unless the file says where it listens.
            (None, None) if self.value(elsewhere::VARIABLE).is_some() => Reach::Loopback,
            (Some(Ok(Target::Tcp { host, .. })), None) if is_loopback(&host) => Reach::Loopback,
            _ => Reach::Anywhere,
        }
    }
}

/// How far the service's own connections go.
enum Reach {
    Anywhere,
    Loopback,
    Unix,
}

fn is_loopback(host: &str) -> bool {
    known_addresses(host).is_some_and(|known| known.iter().all(IpAddr::is_loopback))
}

#[cfg(test)]
mod tests {
    use super::Instance;

    #[test]
    fn where_it_listens() {
        for (name, lines, expected) in [
            ("5901", &[][..], "ListenStream=\nListenStream=5901\n"),
            (
                "vnc",
                &[("LISTEN", "[::1]:80")],
                "ListenStream=\nListenStream=[::1]:80\n",
            ),
            (
                "vnc",
                &[("UNIX_LISTEN", "/run/s"), ("UNIX_LISTEN_MODE", "0660")],
                "ListenStream=\nListenStream=/run/s\nNoDelay=no\nKeepAlive=no\nSocketMode=0660\n",
            ),
            ("vnc", &[], ""),
            ("vnc", &[("LISTEN", "6080\nExecStartPre=/bin/sh")], ""),
        ] {
            assert_eq!(
                Instance::of(name, lines).socket(),
                format!("[Socket]\n{expected}")
            );
        }
    }

    #[test]
    fn who_speaks_tls_has_the_kernel_learn_it() {
        for (lines, loads) in [
            (&[("TARGET", "localhost:1")][..], false),
            (&[("CERT", "/c.pem")], true),
            (&[("SSL_TARGET", "1")], true),
            (&[("TOKEN_PLUGIN", "TokenFile")], true),
            (&[("TARGET_CONFIG", "/tokens")], true),
        ] {
            let text = Instance::of("1", lines).modules();
            assert_eq!(text.contains("Wants=modprobe@tls.service\n"), loads);
            assert_eq!(text.contains("After=modprobe@tls.service\n"), loads);
        }
    }

    #[test]
    fn what_the_target_allows() {
        for (lines, expected) in [
            (&[("TARGET", "localhost:1")][..], "IPAddressAllow=localhost"),
            (&[("TARGET", "[::1]:1")], "IPAddressAllow=localhost"),
            (&[("TARGET", "x.localhost:1")], "IPAddressAllow=localhost"),
            (&[("UNIX_TARGET", "/run/s")], "PrivateNetwork=yes"),
            (&[("WRAP", "a")], "IPAddressAllow=localhost"),
            (
                &[("WRAP", "a"), ("UNIX_TARGET", "/s")],
                "PrivateNetwork=yes",
            ),
        ] {
            assert!(
                Instance::of("1", lines).service().contains(expected),
                "{lines:?}"
            );
        }
        for lines in [
            &[("TARGET", "desk:1")][..],
            &[("TARGET", "nonsense")],
            &[("TARGET", "localhost:1"), ("TOKEN_PLUGIN", "TokenFile")],
            &[
                ("TARGET", "localhost:1"),
                ("AUTH_PLUGIN", "ExpectOrigin,Exec"),
            ],
            &[("TARGET", "localhost:1"), ("UNIX_TARGET", "/s")],
        ] {
            assert_eq!(
                Instance::of("1", lines).service(),
                "[Service]\n",
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_helper_may_be_executed_and_outlives_the_word_to_end() {
        let lines = [
            ("TOKEN_PLUGIN", "Exec"),
            ("TOKEN_SOURCE", "/no/such --option"),
            ("AUTH_PLUGIN", "Exec,Exec"),
            ("AUTH_SOURCE", "'/no/a b'\n'/no/%i'"),
        ];
        assert_eq!(
            Instance::of("1", &lines).service(),
            "[Service]\nExecPaths=-/no/such\nKillMode=mixed\n"
        );
    }

    #[test]
    fn certificates_of_a_directory_are_copied_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let text = Instance::of("1", &[("CERT", path), ("KEY", "/a/key")]).service();
        assert!(text.contains(" --refresh-credentials 1\n"), "{text}");
        assert!(text.contains("LoadCredential=a+key:/a/key\n"), "{text}");
        assert!(!text.contains(&format!(":{path}\n")), "{text}");
    }

    /// It may be on a disk that is mounted later, and be a directory then.
    #[test]
    fn a_certificate_that_is_not_there_is_looked_for_at_the_start() {
        let text = Instance::of("1", &[("CERT", "/no/such"), ("KEY", "/no/key")]).service();
        assert!(text.contains(" --refresh-credentials 1\n"), "{text}");
        assert!(text.contains("LoadCredential=no+key:/no/key\n"), "{text}");
        assert!(!text.contains(":/no/such\n"), "{text}");
    }

    #[test]
    fn keys_are_handed_over_and_nothing_else_gets_into_a_unit() {
        let text = Instance::of(
            "1",
            &[
                ("SSL_TARGET_CERT", "/a/full.pem,/b/full.pem"),
                ("KEY", "/a/key\nExecStart=/bin/sh,relative"),
                ("KEY_PASSWORD_FILE", "/a/pass.cred"),
            ],
        )
        .service();
        assert_eq!(
            text,
            "[Service]\nLoadCredential=a+full.pem:/a/full.pem\n\
             LoadCredentialEncrypted=pass.cred:/a/pass.cred\n\
             LoadCredential=b+full.pem:/b/full.pem\n"
        );
    }
}
