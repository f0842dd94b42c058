//! Where programs and keys are.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};
use tempfile::TempDir;

use crate::peers::Kind;

/// The programs, and a folder of our own with a certificate for them.
#[derive(Debug)]
pub(crate) struct Place {
    bridge: PathBuf,
    checkout: PathBuf,
    folder: TempDir,
}

impl Place {
    pub(crate) const PASSWORD: &str = "bench";

    /// For measuring the program at `bridge`.
    pub(crate) fn new(bridge: PathBuf) -> io::Result<Self> {
        let place = Self {
            bridge,
            checkout: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            folder: tempfile::Builder::new().prefix("bench").tempdir()?,
        };
        place.make_certificate()?;
        Ok(place)
    }

    pub(crate) fn program(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Here => self.bridge.clone(),
            Kind::Python => self.checkout.join("target/python/bin/python"),
            Kind::Websocat => env::var_os("WEBSOCAT").map_or_else(
                || self.checkout.join("target/python/bin/websocat"),
                PathBuf::from,
            ),
            Kind::Node => "node".into(),
            Kind::HaProxy => "/usr/sbin/haproxy".into(),
            Kind::SocketProxy => "/lib/systemd/systemd-socket-proxyd".into(),
        }
    }

    pub(crate) fn node_modules(&self) -> PathBuf {
        self.checkout.join("tests/browser/node_modules")
    }

    pub(crate) fn node_bridge(&self) -> PathBuf {
        self.checkout.join("bench/peers/bridge.cjs")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder().join("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder().join("key.pem")
    }

    pub(crate) fn certificate_and_key(&self) -> PathBuf {
        self.folder().join("both.pem")
    }

    pub(crate) fn pkcs12(&self) -> PathBuf {
        self.folder().join("both.p12")
    }

    /// A certificate and its key (RSA 2048), in the formats that the peers read.
    fn make_certificate(&self) -> io::Result<()> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_text("CN", "localhost")?;
        let name = name.build();
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
        builder.set_serial_number(&serial)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        let (begin, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(30)?);
        builder.set_not_before(&begin)?;
        builder.set_not_after(&end)?;
        builder.sign(&key, MessageDigest::sha256())?;
        let certificate = builder.build();

        let pem = (certificate.to_pem()?, key.private_key_to_pem_pkcs8()?);
        fs::write(self.certificate_and_key(), [&*pem.0, &*pem.1].concat())?;
        fs::write(self.certificate(), pem.0)?;
        fs::write(self.key(), pem.1)?;
        let mut pkcs12 = Pkcs12::builder();
        pkcs12.name("bench").pkey(&key).cert(&certificate);
        fs::write(self.pkcs12(), pkcs12.build2(Self::PASSWORD)?.to_der()?)
    }
}
