//! What a configuration needs once it serves: the least for each mode.

use std::env;
use std::path::{Path, PathBuf};

use crate::config::{Config, Listen};
use crate::systemd::credentials;
use crate::target::{Target, known_addresses};
use crate::token::{self, Plugin};

/// Libraries that are loaded when they are first needed: the resolver's, OpenSSL's, the unwinder's.
const LIBRARIES: &[&str] = &["/usr/lib", "/usr/lib64", "/lib", "/lib64"];

/// Where names are looked up. All of /etc, because its files (resolv.conf, hosts, nsswitch.conf) are
/// replaced by new ones, by DHCP, by VPNs, by editors: a file's right is gone with the file, and a
/// directory's covers all beneath it (landlock(7)); a bridge that runs for months would not find its
/// target one day. What is secret there is not for our user. A target by address needs none of it,
/// nor does `localhost`.
const NAMES: &[&str] = &[
    "/etc",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

/// DNS, where an answer is too long for a datagram.
const DNS: u16 = 53;

/// The system's authorities.
const AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Rights that stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Files, or directories with all that is beneath them.
    pub read: Vec<PathBuf>,
    /// Files that may be written, or directories in which they may be made.
    pub write: Vec<PathBuf>,
    /// Directories in which files may be removed.
    pub remove: Vec<PathBuf>,
    /// TCP ports to connect to; `None` is any.
    pub connect: Option<Vec<u16>>,
    /// Whether TCP ports may be opened.
    pub bind: bool,
    /// Whether TCP sockets may be bound with port 0, to connect from an address of our choice. It
    /// opens no new door: listen(2) gives a socket that was never bound such a port as well, and
    /// landlock does not judge it.
    pub bind_source: bool,
    /// Whether processes outside are signalled.
    pub signal: bool,
}

impl Plan {
    /// Judges a configuration; `watched` are the files that a reload reads again.
    pub fn new(config: &Config, watched: &[PathBuf]) -> Self {
        let mut plan = Self {
            read: LIBRARIES.iter().map(PathBuf::from).collect(),
            // Where a daemon's standard streams go when it serves.
            write: vec!["/dev/null".into()],
            ..Self::default()
        };
        plan.read.extend(credentials::directories());
        plan.read
            .extend(config.web.iter().map(|web| web.root.clone()));
        for file in watched {
            plan.read.extend(around(file));
        }
        if config.tls.is_some() || config.target_tls.is_some() {
            plan.read.extend(AUTHORITIES.iter().map(PathBuf::from));
            let given = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter();
            plan.read
                .extend(given.filter_map(env::var_os).map(PathBuf::from));
        }
        if let Listen::Unix { path, .. } = &config.listen {
            // Our socket goes when we go.
            plan.remove.extend(path.parent().map(directory));
        }
        // Ours go when we go.
        plan.remove.extend(
            config
                .control
                .as_deref()
                .and_then(Path::parent)
                .map(directory),
        );
        plan.remove.extend(
            config
                .pid_file
                .as_deref()
                .and_then(Path::parent)
                .map(directory),
        );
        // A log that was rotated is opened anew; each session has a recording of its own.
        let written = [config.log_file.as_deref(), config.record.as_deref()];
        plan.write.extend(
            written
                .into_iter()
                .flatten()
                .filter_map(Path::parent)
                .map(directory),
        );
        if config.log_by_name {
            plan.read.extend(NAMES.iter().map(PathBuf::from));
        }
        // Its supervisor stops it; if somebody has killed that, we do.
        plan.signal = config.wrap.is_some();
        plan.bind_source = config.service.sources.are_given();
        if config.wrap.is_none() {
            plan.reach(config.to.as_ref());
        }
        plan
    }

    /// What a wrapped program asks for: it is outside, and its port is known when it has started.
    pub fn reach_program(&mut self, program: &Target) {
        self.reach(Some(&token::Options::Target(program.clone())));
    }

    fn reach(&mut self, to: Option<&token::Options>) {
        match to {
            Some(token::Options::Target(Target::Unix(_) | Target::Inside { .. })) => {
                self.connect = Some(Vec::new());
            }
            Some(token::Options::Target(Target::Loopback(port))) => {
                self.connect = Some(vec![*port]);
            }
            Some(token::Options::Target(Target::Tcp { host, port })) => {
                let mut ports = vec![*port];
                if known_addresses(host).is_none() {
                    self.read.extend(NAMES.iter().map(PathBuf::from));
                    ports.push(DNS);
                }
                self.connect = Some(ports);
            }
            Some(token::Options::Tokens(tokens)) => {
                self.read.extend(NAMES.iter().map(PathBuf::from));
                match &tokens.plugin {
                    Plugin::Table(path, _) | Plugin::SocketDirectory(path) => {
                        self.read.extend(around(path));
                    }
                    // Started outside; all that it says is where to.
                    Plugin::Exec(_) => {}
                    // Files of theirs are watched, servers may be anywhere.
                    _ => self.read.extend(AUTHORITIES.iter().map(PathBuf::from)),
                }
            }
            // The demo opens a target for itself, at a port of the kernel's choice.
            None => self.bind = true,
        }
    }
}

/// What has to be readable for `file` to be found again after a renewal has put another in its
/// place: the directory of the name, of what it leads to now, and of each link on the way, which may
/// be turned to a neighbour.
fn around(file: &Path) -> Vec<PathBuf> {
    let located = credentials::located(file);
    if located != *file {
        return Vec::new();
    }
    // What has no path, a pipe or a file in memory, is read at start only.
    let leads_to = file.canonicalize().ok();
    let mut found: Vec<PathBuf> = leads_to.iter().map(|_| file.to_owned()).collect();
    let absolute = std::path::absolute(file).unwrap_or_default();
    let links = absolute.ancestors().skip(1).filter(|it| it.is_symlink());
    let named = [absolute.as_path()].into_iter().chain(links);
    let parents = named.chain(leads_to.as_deref()).filter_map(Path::parent);
    // Right beneath the root it would be too much: /etc, or a home of root's.
    let parents = parents.filter(|parent| parent.components().count() > 2);
    found.extend(parents.map(Path::to_owned));
    found
}

/// A path without directories is here.
fn directory(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        ".".into()
    } else {
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::{Plan, around};
    use crate::target::Target;
    use crate::token;

    #[test]
    fn ports_and_names_are_those_of_the_target() {
        let plan = |target: Option<&str>| {
            let mut plan = Plan::default();
            let target = target.map(|text| match text.strip_prefix("unix:") {
                Some(path) => token::Options::Target(Target::Unix(path.into())),
                None => token::Options::Target(Target::parse(text).unwrap()),
            });
            plan.reach(target.as_ref());
            let names = plan.read.contains(&PathBuf::from("/etc"));
            (plan.connect, plan.bind, names)
        };
        assert_eq!(
            plan(Some("192.0.2.1:5900")),
            (Some(vec![5900]), false, false)
        );
        assert_eq!(plan(Some("[::1]:5900")), (Some(vec![5900]), false, false));
        for here in ["localhost:5900", "vnc.localhost:5900", ":5900"] {
            assert_eq!(plan(Some(here)), (Some(vec![5900]), false, false), "{here}");
        }
        assert_eq!(plan(Some("desk:5900")), (Some(vec![5900, 53]), false, true));
        assert_eq!(plan(Some("unix:/run/s")), (Some(vec![]), false, false));
        assert_eq!(plan(None), (None, true, false));
    }

    #[test]
    fn a_renewal_may_put_a_new_file_behind_the_same_name() {
        let folder = tempfile::tempdir().unwrap();
        let [live, archive] = ["live", "archive"].map(|name| folder.path().join(name));
        fs::create_dir(&live).unwrap();
        fs::create_dir(&archive).unwrap();
        fs::write(archive.join("key1.pem"), "").unwrap();
        symlink("../archive/key1.pem", live.join("key.pem")).unwrap();
        let real = archive.canonicalize().unwrap();
        assert_eq!(
            around(&live.join("key.pem")),
            [live.join("key.pem"), live.clone(), real]
        );
        // And a link on the way may be turned.
        let now = folder.path().join("now");
        symlink("live", &now).unwrap();
        assert!(around(&now.join("key.pem")).contains(&folder.path().to_owned()));
    }

    #[test]
    fn no_directory_right_beneath_the_root_is_opened_for_a_file() {
        assert_eq!(
            around(Path::new("/etc/passwd")),
            [PathBuf::from("/etc/passwd")]
        );
        assert_eq!(around(Path::new("/none.pem")), Vec::<PathBuf>::new());
    }
}
