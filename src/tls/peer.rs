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
            // By its own encoding, in which other bytes than UTF-8's may look like another name;
            // and whole: a NUL in a C string would hide what is behind it.
            names.common.extend(entry.data().to_string());
        }
        for name in certificate.subject_alt_names().iter().flatten() {
            names.email.extend(name.email().map(str::to_owned));
            names.dns.extend(name.dnsname().map(str::to_owned));
        }
        // The replacement character stands for bytes that are none in their encoding.
        let whole = |name: &String| !name.is_empty() && !name.contains(['\0', '\u{fffd}']);
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

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Type;
    use openssl::nid::Nid;
    use openssl::x509::{X509, X509Name};

    use super::Names;

    fn common(kind: Asn1Type, bytes: &str) -> Vec<String> {
        let mut subject = X509Name::builder().unwrap();
        subject
            .append_entry_by_nid_with_type(Nid::COMMONNAME, bytes, kind)
            .unwrap();
        let mut certificate = X509::builder().unwrap();
        certificate.set_subject_name(&subject.build()).unwrap();
        Names::in_certificate(&certificate.build()).common
    }

    #[test]
    fn a_name_is_what_its_encoding_makes_of_the_bytes() {
        assert_eq!(common(Asn1Type::UTF8STRING, "jané"), ["jané"]);
        assert_eq!(common(Asn1Type::PRINTABLESTRING, "jane"), ["jane"]);
        assert!(common(Asn1Type::UTF8STRING, "jane\0.evil").is_empty());
        // Two characters of Chinese.
        assert_eq!(common(Asn1Type::BMPSTRING, "jane"), ["橡湥"]);
        assert_eq!(common(Asn1Type::BMPSTRING, "\0j\0a\0n\0e"), ["jane"]);
        // Latin-1, in which this is another name.
        assert_eq!(common(Asn1Type::T61STRING, "jané"), ["janÃ©"]);
    }
}
