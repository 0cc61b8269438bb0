//! Where and how to listen.

use std::net::SocketAddr;

use clap::Args;

use crate::http::{
    Door, Limits, Policy,
    client::{Proxies, TrustedProxy},
    cors::{AllowedOrigin, Cors},
    keys::{ApiKey, Keys},
    limit,
};

const CORS_ORIGIN_HELP: &str = "Origin whose pages may use the answers, such as \
     https://app.example.com, or * for any. May be given more than once. None by default";

/// The front end.
#[derive(Clone, Debug, Args)]
pub struct HttpSettings {
    /// Address and port to listen on, such as 0.0.0.0:9002 or [::]:9002
    #[arg(long, env = "ERRSIFT_LISTEN", default_value = "127.0.0.1:9002", value_parser = address, value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// Address that /metrics and health are served on as well, without keys; /metrics is then not
    /// on --listen. None by default
    #[arg(long, env = "ERRSIFT_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,

    /// Hash of a key that requests must have, as `errsift key` prints it: write:SHA256HEX,
    /// write:SERVICE:SHA256HEX or read:SHA256HEX. May be given more than once. Without any,
    /// everybody may do everything
    #[arg(
        long = "api-key",
        env = "ERRSIFT_API_KEYS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "KIND:HASH"
    )]
    pub api_keys: Vec<ApiKey>,

    /// The origins whose pages may use the answers.
    #[arg(
        long = "cors-origin",

        help = CORS_ORIGIN_HELP,
        env = "ERRSIFT_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub cors_origins: Vec<AllowedOrigin>,

    /// Address or network of a proxy whose X-Forwarded-For or Forwarded is believed in logs, such
    /// as 10.0.0.0/8. May be given more than once. None by default
    #[arg(
        long = "trusted-proxy",
        env = "ERRSIFT_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "NETWORK"
    )]
    pub trusted_proxies: Vec<TrustedProxy>,
}

impl HttpSettings {
    /// What holds for requests at `--listen`.
    pub fn policy(&self, limits: Limits) -> Policy {
        Policy {
            door: if self.admin_listen.is_some() { Door::Public } else { Door::Only },
            cors: Cors::new(&self.cors_origins),
            keys: Keys::new(self.api_keys.clone()),
            proxies: Proxies::new(&self.trusted_proxies),
            limits,
        }
    }

    /// What holds for requests at `--admin-listen`.
    pub fn admin_policy(&self) -> Policy {
        let connections_max = limit::ADMIN_CONNECTIONS_MAX;
        Policy {
            door: Door::Admin,
            proxies: Proxies::new(&self.trusted_proxies),
            limits: Limits { connections_max, ..Limits::default() },
            ..Policy::default()
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let range = "expected an address and a port, such as 127.0.0.1:9002 or [::]:9002";
    text.parse().map_err(|_| range.to_owned())
}
