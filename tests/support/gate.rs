//! What a Redis or a sentinel asks of who comes in: nothing, a certificate, a password.

use std::{fs, path::PathBuf};

use redis::{ClientTlsConfig, IntoConnectionInfo, RedisResult, TlsCertificates};

use super::certificates::{Authority, Signed};

/// The certificates of a server that speaks only TLS, and one to come in with.
#[derive(Clone)]
struct Encryption {
    authority: PathBuf,
    server: Signed,
    client: Signed,
}

/// How a server is entered.
#[derive(Clone, Default)]
pub struct Gate {
    encryption: Option<Encryption>,
    password: Option<&'static str>,
}

impl Gate {
    /// Only by TLS, to a server with a certificate for 127.0.0.1 and `name`, and only by who shows a
    /// certificate of the same authority.
    pub fn encrypted(authority: &Authority, name: &str) -> Self {
        let encryption = Encryption {
            authority: authority.file(),
            server: authority.sign("redis", &["127.0.0.1", name]),
            client: authority.sign("tester", &["tester"]),
        };
        Self { encryption: Some(encryption), password: None }
    }

    /// Only with this password.
    pub fn locked(password: &'static str) -> Self {
        Self { encryption: None, password: Some(password) }
    }

    pub fn password(&self) -> Option<&'static str> {
        self.password
    }

    /// What a server is started with that listens so, and enters others so.
    pub fn settings(&self, port: u16) -> Vec<String> {
        let port = port.to_string();
        let mut settings = Vec::new();
        let mut set = |name: &str, value: &str| {
            settings.extend([format!("--{name}"), value.to_owned()]);
        };
        if let Some(Encryption { authority, server, .. }) = &self.encryption {
            set("port", "0");
            set("tls-port", &port);
            set("tls-replication", "yes");
            for (name, file) in [
                ("tls-ca-cert-file", authority),
                ("tls-cert-file", &server.cert),
                ("tls-key-file", &server.key),
            ] {
                set(name, &file.display().to_string());
            }
        } else {
            set("port", &port);
        }
        if let Some(password) = self.password {
            set("requirepass", password);
        }
        settings
    }

    /// As `--redis-url` takes it.
    pub fn url(&self, port: u16) -> String {
        let scheme = if self.encryption.is_some() { "rediss" } else { "redis" };
        let password = self.password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("{scheme}://{password}127.0.0.1:{port}")
    }

    /// A way to the server on this port.
    pub fn client(&self, port: u16) -> RedisResult<redis::Client> {
        let url = self.url(port);
        let Some(Encryption { authority, client, .. }) = &self.encryption else {
            return redis::Client::open(url);
        };
        let certificates = TlsCertificates {
            client_tls: Some(ClientTlsConfig {
                client_cert: fs::read(&client.cert)?,
                client_key: fs::read(&client.key)?,
            }),
            root_cert: Some(fs::read(authority)?),
        };
        redis::Client::build_with_tls(url.into_connection_info()?, certificates)
    }
}
