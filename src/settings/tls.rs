//! Whom to trust on encrypted connections to the stores, and who we are.

use std::path::PathBuf;

use clap::Args;

/// Certificates for `rediss://` and for `?ssl-mode=`; one set for both stores.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsSettings {
    /// PEM file of the authorities that may have signed the stores' certificates, instead of the
    /// public ones (Mozilla's) that are built in; needs rediss:// or ?ssl-mode= in a URL
    #[arg(long, env = "ERRSIFT_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// PEM file of the certificate chain to show to stores that ask for one; needs --tls-key
    #[arg(long, env = "ERRSIFT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file of the private key of --tls-cert
    #[arg(long, env = "ERRSIFT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}
