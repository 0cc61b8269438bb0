//! A client of a running server's query API, for the commands.
//!
//! One request at a time, with time-outs, straight to the server: no proxy from the environment,
//! and no redirect is followed, so that the key goes nowhere else.

mod fault;
mod rows;

use std::{fs, time::Duration};

use serde::de::DeserializeOwned;
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, PemItem, RootCerts, TlsConfig},
};
use url::Url;

pub use self::{
    fault::ClientFault,
    rows::{Answered, ErrorDetails, ErrorRow, Page, Point, Query, Raw, Windows},
};
use crate::settings::ClientSettings;

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take, from the first byte of the request to its last.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Bytes of an answer: 500 rows with messages of 8,192 characters and 32 tags stay below.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A server that can be asked.
pub struct Client {
    agent: Agent,
    base: Url,
    authorization: Option<String>,
}

impl Client {
    /// A client by the settings; nothing is connected yet. The error names the setting.
    pub fn new(settings: &ClientSettings) -> Result<Self, String> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("errsift/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(ANSWER_MAX));
        if let Some(path) = &settings.server_ca {
            let named = |reason: String| format!("--server-ca: {}: {reason}", path.display());
            let pem = fs::read(path).map_err(|error| named(error.to_string()))?;
            config = config.tls_config(trusting(&pem).map_err(named)?);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            base: settings.server.clone(),
            authorization: settings.key.as_ref().map(|key| format!("Bearer {}", key.reveal())),
        })
    }

    /// The server, for people.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A page of errors.
    pub fn errors(&self, query: &Query) -> Result<Answered<Page>, ClientFault> {
        self.get(&["errors"], &query.pairs())
    }

    /// One error, as the server's own JSON and read.
    pub fn error(
        &self,
        fingerprint: &str,
        range: &[(&'static str, String)],
    ) -> Result<Answered<Raw<ErrorDetails>>, ClientFault> {
        self.get(&["errors", fingerprint], range)
    }

    fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        pairs: &[(&'static str, String)],
    ) -> Result<Answered<T>, ClientFault> {
        let url = address(&self.base, path, pairs);
        let mut request = self.agent.get(url.as_str());
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.call()?;
        let status = response.status().as_u16();
        let text = body(&mut response)?;
        if status != 200 {
            return Err(ClientFault::of_status(status, &text, self.authorization.is_some()));
        }
        serde_json::from_str(&text).map_err(|error| ClientFault::Answer(error.to_string()))
    }
}

fn body(response: &mut Response<Body>) -> Result<String, ClientFault> {
    Ok(response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?)
}

/// Trusts the certificates in `pem` and no others.
fn trusting(pem: &[u8]) -> Result<TlsConfig, String> {
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| error.to_string())? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::from(certificates)).build())
}

/// The address of `path` below `base`, which may have a path itself.
fn address(base: &Url, path: &[&str], pairs: &[(&'static str, String)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_below_the_base() {
        let of = |base: &str, pairs: &[(&'static str, String)]| {
            address(&base.parse().unwrap(), &["errors", "a/b"], pairs).to_string()
        };
        assert_eq!(of("http://h:1", &[]), "http://h:1/errors/a%2Fb");
        assert_eq!(of("http://h/es/", &[]), "http://h/es/errors/a%2Fb");
        assert_eq!(of("http://h/es", &[]), "http://h/es/errors/a%2Fb");
        let pairs = [("q", "a b&é".to_owned()), ("since", "-15m".to_owned())];
        assert_eq!(of("http://h", &pairs), "http://h/errors/a%2Fb?q=a+b%26%C3%A9&since=-15m");
    }
}
