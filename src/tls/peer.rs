//! Who a client is by the certificate that it showed and OpenSSL verified.

use std::fmt;

use openssl::nid::Nid;
use openssl::ssl::SslRef;
use openssl::x509::{X509Ref, X509VerifyResult};

/// The names in a verified certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    common: Vec<String>,
    email: Vec<String>,
    dns: Vec<String>,
}

impl Names {
    /// The peer's names; `None` without a certificate, or with one that was not verified.
    pub(crate) fn of(ssl: &SslRef) -> Option<Self> {
        let certificate = ssl.peer_certificate()?;
        (ssl.verify_result() == X509VerifyResult::OK).then(|| Self::in_certificate(&certificate))
    }

    fn in_certificate(certificate: &X509Ref) -> Self {
        let mut names = Self::default();
        for entry in certificate.subject_name().entries_by_nid(Nid::COMMONNAME) {
            // The bytes as they are: a NUL in a C string would hide what is behind it. Two-byte
            // encodings, which nobody uses any more, are no names by that.
            let text = std::str::from_utf8(entry.data().as_slice()).ok();
            names.common.extend(text.map(str::to_owned));
        }
        for name in certificate.subject_alt_names().iter().flatten() {
            names.email.extend(name.email().map(str::to_owned));
            names.dns.extend(name.dnsname().map(str::to_owned));
        }
        let whole = |name: &String| !name.is_empty() && !name.contains('\0');
        for list in [&mut names.common, &mut names.email, &mut names.dns] {
            list.retain(whole);
        }
        names
    }

    /// Common names of the subject.
    #[must_use]
    pub fn common(&self) -> &[String] {
        &self.common
    }

    /// Alternative names that are e-mail addresses.
    #[must_use]
    pub fn email(&self) -> &[String] {
        &self.email
    }

    /// Alternative names that are hosts.
    #[must_use]
    pub fn dns(&self) -> &[String] {
        &self.dns
    }

    /// Whether one of them is `name`; only host names are the same in upper and lower case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut people = self.common.iter().chain(&self.email);
        people.any(|it| it == name) || self.dns.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.common.iter().chain(&self.email).chain(&self.dns);
        f.write_str(all.next().map_or("", String::as_str))?;
        all.try_for_each(|name| write!(f, ", {name}"))
    }
}
