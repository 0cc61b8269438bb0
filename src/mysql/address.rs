//! The URL of the server, and how its connections are encrypted.
//!
//! `ssl-mode` is spelled as MySQL's own clients spell it, `-` or `_`, in any case. Without it
//! nothing is encrypted, as with `redis://`: what a URL does not say is not guessed.

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts, UrlError};
use url::Url;

use crate::tls::Tls;

/// A `mysql://` URL that cannot be used. It never repeats the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum MysqlUrlFault {
    /// Not a URL at all.
    #[error("{0}; expected {URL_FORM}")]
    NoUrl(#[from] url::ParseError),
    /// Not a URL of this kind.
    #[error("expected {URL_FORM}")]
    Scheme,
    /// A parameter that the driver does not know: often the end of a password.
    #[error("the URL has an unknown parameter; in a password, ? # / and @ are %3F %23 %2F and %40")]
    UnknownParameter,
    /// A parameter with a value that the driver cannot use.
    #[error("a parameter in the URL has a value that cannot be used")]
    Value,
    /// Without a database.
    #[error("the URL names no database ({URL_FORM})")]
    NoDatabase,
    /// A value that MySQL does not know either.
    #[error("ssl-mode: expected disabled, required or verify-identity")]
    UnknownMode,
    /// Encrypting if the server can: whoever stands between could say that it cannot.
    #[error("ssl-mode=preferred is not supported: say disabled, required or verify-identity")]
    Preferred,
    /// Checking who signed the certificate, but not for which server.
    #[error(
        "ssl-mode=verify-ca is not supported: say verify-identity, with a name or address in the \
         URL that the server's certificate is for"
    )]
    VerifyCa,
    /// A driver's spelling of the same.
    #[error("require_ssl, verify_ca, verify_identity: say ssl-mode instead")]
    DriversOwn,
}

const URL_FORM: &str = "mysql://user:password@host:3306/database";

impl From<UrlError> for MysqlUrlFault {
    /// The driver's own words repeat parts of the URL.
    fn from(error: UrlError) -> Self {
        match error {
            UrlError::Parse(error) => Self::NoUrl(error),
            UrlError::UnknownParameter { .. } => Self::UnknownParameter,
            UrlError::InvalidParamValue { .. }
            | UrlError::InvalidPoolConstraints { .. }
            | UrlError::FeatureRequired { .. } => Self::Value,
            UrlError::Invalid | UrlError::UnsupportedScheme { .. } => Self::Scheme,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disabled,
    Required,
    VerifyIdentity,
}

impl Mode {
    fn parse(text: &str) -> Result<Self, MysqlUrlFault> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "disabled" => Ok(Self::Disabled),
            "required" => Ok(Self::Required),
            "verify-identity" => Ok(Self::VerifyIdentity),
            "preferred" => Err(MysqlUrlFault::Preferred),
            "verify-ca" => Err(MysqlUrlFault::VerifyCa),
            _ => Err(MysqlUrlFault::UnknownMode),
        }
    }
}

/// How to connect, by `url` alone: public authorities are trusted.
pub fn opts(url: &str) -> Result<Opts, MysqlUrlFault> {
    let mut url = Url::parse(url)?;
    let mut mode = Mode::Disabled;
    let mut others = Vec::new();
    for (name, value) in url.query_pairs() {
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "ssl-mode" => mode = Mode::parse(&value)?,
            "require-ssl" | "verify-ca" | "verify-identity" | "built-in-roots" => {
                return Err(MysqlUrlFault::DriversOwn);
            }
            _ => others.push((name.into_owned(), value.into_owned())),
        }
    }
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    let opts = Opts::from_url(url.as_str())?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(MysqlUrlFault::NoDatabase);
    }
    let ssl = match mode {
        Mode::Disabled => None,
        Mode::Required => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        Mode::VerifyIdentity => Some(SslOpts::default()),
    };
    Ok(OptsBuilder::from_opts(opts).ssl_opts(ssl).into())
}

/// The same, trusting whom `tls` says and showing its certificate, where encryption is asked for.
pub fn trusting(opts: Opts, tls: &Tls) -> Opts {
    let Some(mut ssl) = opts.ssl_opts().cloned() else {
        return opts;
    };
    if let Some(authorities) = tls.authorities() {
        ssl = ssl
            .with_disable_built_in_roots(true)
            .with_root_certs(vec![authorities.to_vec().into()]);
    }
    if let Some(identity) = tls.identity() {
        let identity =
            ClientIdentity::new(identity.chain.clone().into(), identity.key.clone().into());
        ssl = ssl.with_client_identity(Some(identity));
    }
    OptsBuilder::from_opts(opts).ssl_opts(ssl).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(query: &str) -> Result<Opts, MysqlUrlFault> {
        opts(&format!("mysql://app:s%3Fcret%26@db.example:3307/errors{query}"))
    }

    #[test]
    fn encryption_is_what_the_url_says() {
        for (query, verified) in [
            ("", None),
            ("?ssl-mode=disabled", None),
            ("?ssl-mode=REQUIRED", Some(false)),
            ("?ssl_mode=Verify_Identity", Some(true)),
            ("?tcp_nodelay=false&ssl-mode=verify-identity", Some(true)),
        ] {
            let opts = with(query).unwrap();
            let found = opts.ssl_opts().map(|ssl| !ssl.accept_invalid_certs());
            assert_eq!(found, verified, "{query}");
            assert!(opts.ssl_opts().is_none_or(|ssl| !ssl.skip_domain_validation()));
            assert_eq!(opts.pass(), Some("s?cret&"), "{query}");
            assert_eq!((opts.ip_or_hostname(), opts.tcp_port()), ("db.example", 3307));
        }
        assert!(!with("?tcp_nodelay=false&ssl-mode=required").unwrap().tcp_nodelay());
    }

    #[test]
    fn what_would_not_be_kept_is_refused() {
        use MysqlUrlFault::{DriversOwn, Preferred, UnknownMode, UnknownParameter, VerifyCa};
        assert!(matches!(with("?ssl-mode=preferred"), Err(Preferred)));
        assert!(matches!(with("?ssl-mode=VERIFY_CA"), Err(VerifyCa)));
        assert!(matches!(with("?ssl-mode=yes"), Err(UnknownMode)));
        assert!(matches!(with("?require_ssl=true"), Err(DriversOwn)));
        assert!(matches!(with("?surprise=1"), Err(UnknownParameter)));
    }

    #[test]
    fn nothing_of_the_url_is_repeated() {
        for url in [
            "mysql://app:123?cret@db/errors",
            "mysql://app:123#cret@db/errors",
            "mysql://app:cret/1@db/errors",
            "cret://app:123@db/errors",
            "mysql://app:123@db/errors?pool_min=cret",
            "mysql://app:123@db/errors?ssl-mode=cret",
            "mysql://app:123@db:cret/errors",
            "app:123cret@db/errors",
        ] {
            let fault = opts(url).unwrap_err();
            for said in [fault.to_string(), format!("{fault:?}")] {
                assert!(!said.contains("cret") && !said.contains("123"), "{url}: {said}");
            }
        }
    }
}
