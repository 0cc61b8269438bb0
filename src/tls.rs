//! Encrypted connections to the stores: whom to trust, who we are, and what a failure asks for.
//!
//! Without `--tls-ca` the public authorities of Mozilla's list are trusted, as they were when
//! errsift was built: the same on every machine, and no file is read. With it, only those in the
//! file are; a system's own list is such a file too.

use std::{error::Error, fs, io, path::Path, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

use crate::settings::TlsSettings;

/// A certificate chain and its private key, each in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The chain, our own certificate first.
    pub chain: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// What encrypted connections are made with, checked once.
#[derive(Clone)]
pub struct Tls {
    client: Arc<ClientConfig>,
    authorities: Option<Vec<u8>>,
    identity: Option<Identity>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Default for Tls {
    /// Trusts the public authorities and shows no certificate.
    fn default() -> Self {
        let built = client(public(), None);
        let client = built.expect("no certificate that could be wrong");
        Self { client: Arc::new(client), authorities: None, identity: None }
    }
}

impl Tls {
    /// Reads and checks the files that are named. Each error is a line that names the setting.
    pub fn read(settings: &TlsSettings) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut keep = |outcome: Result<Vec<u8>, String>| {
            outcome.map_err(|reason| wrong.push(reason)).unwrap_or_default()
        };
        let mut roots = public();
        let authorities = settings.tls_ca.as_deref().map(|path| {
            let checked = read("--tls-ca", path).and_then(|pem| {
                roots = authorities(&pem)
                    .map_err(|reason| format!("--tls-ca: {}: {reason}", path.display()))?;
                Ok(pem)
            });
            keep(checked)
        });
        let identity = match (&settings.tls_cert, &settings.tls_key) {
            (Some(cert), Some(key)) => Some(Identity {
                chain: keep(read("--tls-cert", cert)),
                key: keep(read("--tls-key", key)),
            }),
            (None, None) => None,
            (Some(_), None) => {
                keep(Err("--tls-key: needed when --tls-cert is given".to_owned()));
                None
            }
            (None, Some(_)) => {
                keep(Err("--tls-cert: needed when --tls-key is given".to_owned()));
                None
            }
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let client = client(roots, identity.as_ref()).map_err(|reason| vec![reason])?;
        Ok(Self { client: Arc::new(client), authorities, identity })
    }

    /// The settings of a connection.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The authorities in PEM, if the public ones are not trusted.
    pub fn authorities(&self) -> Option<&[u8]> {
        self.authorities.as_deref()
    }

    /// The certificate to show.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

fn public() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{setting}: {}: {error}", path.display()))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| describe(&error))?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in PEM in it".to_owned()) } else { Ok(roots) }
}

fn client(roots: RootCertStore, identity: Option<&Identity>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some(Identity { chain, key }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("--tls-cert: {}", describe(&error)))?;
    if chain.is_empty() {
        return Err("--tls-cert: no certificate in PEM in it".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|error| format!("--tls-key: {}", describe(&error)))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("--tls-key: does not fit --tls-cert: {error}"))
}

/// Never what the file holds: it may be a key.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "no private key in PEM in it".to_owned(),
        _ => "not well-formed PEM".to_owned(),
    }
}

/// The failure of TLS that is behind an error, if one is.
fn failure<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            // its source is the inner error's, not the inner error
            Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Whether an error is one of TLS that stays until somebody mends a certificate. Any other may be a
/// proxy's or a failover's: a port that answers in plain text does so for a while.
pub fn is_lasting(error: &(dyn Error + 'static)) -> bool {
    match failure(error) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => true,
        Some(rustls::Error::AlertReceived(alert)) => wants_certificate(*alert),
        _ => false,
    }
}

/// Whether a peer that ends a handshake so misses a certificate that it trusts.
fn wants_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::HandshakeFailure
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// What to do about a connection that could not be made secure; `None` if that is not what an
/// error is about.
pub fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        UnknownIssuer,
    };
    Some(match failure(error)? {
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => {
            "nobody in --tls-ca has signed it: give its authority's PEM file with --tls-ca"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "put a name or address into the URL that the certificate is for"
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "renew the store's certificate"
        }
        rustls::Error::InvalidCertificate(_) => "mend the store's certificate",
        rustls::Error::AlertReceived(alert) if wants_certificate(*alert) => {
            "the store wants a certificate that it trusts: give one with --tls-cert and --tls-key"
        }
        rustls::Error::InvalidMessage(_) => "that port does not speak TLS: give its other port",
        _ => "see the store's own log",
    })
}

/// An error with what to do about it, if it is TLS's.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    match remedy(error) {
        Some(remedy) => format!("{error}: {remedy}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn files_that_cannot_be_used_name_their_setting() {
        let dir = tempfile::TempDir::new().unwrap();
        let own = rcgen::generate_simple_self_signed(["here".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let cert = Some(file(&dir, "cert", &own.cert.pem()));
        let key = Some(file(&dir, "key", &own.signing_key.serialize_pem()));
        let other = Some(file(&dir, "other", &other));
        let none = Some(file(&dir, "none", "no PEM"));
        let broken = Some(file(&dir, "broken", "-----BEGIN CERTIFICATE-----\nsecret\n"));
        let absent = Some(dir.path().join("absent"));
        let read = |tls_ca: &Option<_>, tls_cert: &Option<_>, tls_key: &Option<_>| {
            let (tls_ca, tls_cert, tls_key) = (tls_ca.clone(), tls_cert.clone(), tls_key.clone());
            Tls::read(&TlsSettings { tls_ca, tls_cert, tls_key }).map(drop)
        };
        read(&cert, &cert, &key).unwrap();
        read(&None, &None, &None).unwrap();
        for (wrong, lines) in [
            (read(&absent, &None, &None), &["--tls-ca: "][..]),
            (read(&none, &None, &None), &["--tls-ca: "]),
            (read(&broken, &None, &None), &["--tls-ca: "]),
            (read(&None, &cert, &None), &["--tls-key: needed"]),
            (read(&None, &None, &key), &["--tls-cert: needed"]),
            (read(&absent, &absent, &absent), &["--tls-ca: ", "--tls-cert: ", "--tls-key: "]),
            (read(&None, &none, &key), &["--tls-cert: no certificate"]),
            (read(&None, &cert, &none), &["--tls-key: no private key"]),
            (read(&None, &cert, &other), &["--tls-key: does not fit --tls-cert"]),
        ] {
            let found = wrong.unwrap_err();
            assert_eq!(found.len(), lines.len(), "{found:?}");
            for (found, line) in found.iter().zip(lines) {
                assert!(found.starts_with(line), "{found}");
                assert!(!found.contains("secret"), "{found}");
            }
        }
    }

    #[test]
    fn a_failure_of_tls_is_found_behind_others() {
        let cause = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let inner = io::Error::new(io::ErrorKind::InvalidData, cause);
        let outer = mysql_async::Error::from(io::Error::other(inner));
        assert!(explain(&outer).contains("--tls-ca"), "{}", explain(&outer));
        assert_eq!(remedy(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }
}
