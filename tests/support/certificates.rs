//! Certificates of the test's own: an authority, and what it has signed, as PEM files.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// An authority that nobody else trusts, and a directory with its files.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Signed {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate");
        let dir = TempDir::new().expect("no temporary directory");
        fs::write(dir.path().join("ca.pem"), own.pem()).expect("cannot write the authority");
        Self { issuer: Issuer::new(params, key), dir }
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for `names`, addresses among them, to serve with or to show.
    pub fn sign(&self, name: &str, names: &[&str]) -> Signed {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        // OpenSSL takes a certificate of the authority's name for the authority
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let at = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        let signed = Signed { cert: at("pem"), key: at("key") };
        fs::write(&signed.cert, cert.pem()).expect("cannot write the certificate");
        fs::write(&signed.key, key.serialize_pem()).expect("cannot write the key");
        signed
    }
}
