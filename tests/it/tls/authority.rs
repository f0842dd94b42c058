//! A certificate authority of the test's own, by the `openssl` command: what an administrator
//! would have made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::text;

const CONFIG: &str = "
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $ENV::NAMES
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = any
";

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];
const WEAK: [&str; 3] = ["-newkey", "rsa:1024", "-nodes"];
const RSA: [&str; 3] = ["-newkey", "rsa:2048", "-nodes"];

/// Signs whatever it is asked to.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: TempDir,
}

/// A certificate and its key, in two files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// The options that give it to the bridge.
    pub(crate) fn options(&self) -> [&str; 4] {
        ["--cert", text(&self.certificate), "--key", text(&self.key)]
    }

    /// Renames both files over another pair's, as a careful renewal does.
    pub(crate) fn replace(self, other: &Self) {
        fs::rename(self.key, &other.key).unwrap();
        fs::rename(self.certificate, &other.certificate).unwrap();
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let ca = Self::empty();
        ca.openssl(&[
            "req",
            "-x509",
            "-config",
            "ca.cnf",
            "-extensions",
            "authority",
        ])
        .args(KEY)
        .args(["-subj", "/CN=Test Authority", "-days", "30"])
        .args(["-keyout", "ca.key", "-out", "ca.pem"])
        .run();
        ca
    }

    /// An authority that this one has signed.
    pub(crate) fn intermediate(&self) -> Self {
        let lower = Self::empty();
        let Pair { certificate, key } = self.sign(
            "Test Intermediate",
            "authority",
            "DNS:unused",
            (0, 30),
            &KEY,
        );
        fs::rename(certificate, lower.path("ca.pem")).unwrap();
        fs::rename(key, lower.path("ca.key")).unwrap();
        lower
    }

    /// A certificate for names as they stand in one, such as `DNS:localhost,IP:127.0.0.1`.
    pub(crate) fn issue(&self, names: &str) -> Pair {
        self.issue_for_days(names, (-1, 365))
    }

    /// One for this machine.
    pub(crate) fn here(&self) -> Pair {
        self.issue("DNS:localhost,IP:127.0.0.1,IP:::1")
    }

    /// One with an RSA key, for suites of older times.
    pub(crate) fn rsa(&self) -> Pair {
        self.sign("Test Leaf", "leaf", "DNS:localhost", (-1, 365), &RSA)
    }

    /// One whose key OpenSSL would rather not see any more.
    pub(crate) fn weak(&self) -> Pair {
        self.sign("Test Leaf", "leaf", "DNS:localhost", (-1, 365), &WEAK)
    }

    /// One that is valid from and to so many days from now.
    pub(crate) fn issue_for_days(&self, names: &str, days: (i64, i64)) -> Pair {
        self.sign("Test Leaf", "leaf", names, days, &KEY)
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A file among the authority's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file among the authority's own, of these parts.
    pub(crate) fn join(&self, name: &str, parts: &[&Path]) -> PathBuf {
        let parts: Vec<u8> = parts.iter().flat_map(|it| fs::read(it).unwrap()).collect();
        let path = self.path(name);
        fs::write(&path, parts).unwrap();
        path
    }

    pub(crate) fn revoke(&self, pair: &Pair) {
        self.openssl(&[
            "ca",
            "-config",
            "ca.cnf",
            "-revoke",
            text(&pair.certificate),
        ])
        .run();
    }

    /// The list of what was revoked so far.
    pub(crate) fn revocations(&self) -> PathBuf {
        self.openssl(&["ca", "-config", "ca.cnf", "-gencrl", "-out", "ca.crl"])
            .run();
        self.path("ca.crl")
    }

    /// The same key, encrypted.
    pub(crate) fn encrypt(&self, key: &Path, password: &str) -> PathBuf {
        let pass = format!("pass:{password}");
        self.openssl(&["pkey", "-aes256", "-in", text(key), "-out", "encrypted.key"])
            .args(["-passout", &pass])
            .run();
        self.path("encrypted.key")
    }

    fn empty() -> Self {
        let ca = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(ca.path("ca.cnf"), CONFIG).unwrap();
        fs::write(ca.path("index.txt"), "").unwrap();
        fs::write(ca.path("serial"), "1000").unwrap();
        ca
    }

    fn sign(
        &self,
        subject: &str,
        kind: &str,
        names: &str,
        days: (i64, i64),
        newkey: &[&str],
    ) -> Pair {
        let serial = fs::read_to_string(self.path("serial")).unwrap();
        let name = |extension| self.path(&format!("leaf{}.{extension}", serial.trim()));
        let (certificate, key, request) = (name("pem"), name("key"), name("csr"));
        self.openssl(&["req", "-new", "-config", "ca.cnf"])
            .args(newkey)
            .args(["-subj", &format!("/CN={subject}")])
            .args(["-keyout", text(&key), "-out", text(&request)])
            .run();
        self.openssl(&["ca", "-batch", "-notext", "-config", "ca.cnf"])
            .args(["-extensions", kind, "-in", text(&request)])
            .args(["-startdate", &date(days.0), "-enddate", &date(days.1)])
            .args(["-out", text(&certificate)])
            .env("NAMES", names)
            .run();
        Pair { certificate, key }
    }

    fn openssl(&self, args: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("NAMES", "DNS:unused")
            .stdin(Stdio::null());
        command
    }
}

/// Runs a command that is not expected to fail.
trait Run {
    fn run(&mut self) -> String;
}

impl Run for Command {
    fn run(&mut self) -> String {
        let output = self.output().unwrap();
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?}\n{failed}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The time so many days from now as `openssl ca` reads it.
fn date(days: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let then = i64::try_from(now).unwrap() + days * 86400;
    let mut command = Command::new("date");
    command.args(["-u", "-d", &format!("@{then}"), "+%Y%m%d%H%M%SZ"]);
    command.run().trim().to_owned()
}
