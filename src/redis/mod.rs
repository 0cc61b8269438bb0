//! The journal on Redis.
//!
//! Keys of a shard, all with the hash tag `{es:<shard>}` so that a cluster keeps them together:
//! `:fence` hash {term, nonce, seq, epoch, events}, written only by taking the shard and by
//! commits · `:journal` list of jobs · `:pos` hash {base, …}, the number of the list's first job ·
//! `:pending:<epoch>` hash fingerprint → count · `:dead` list of jobs that were set aside ([`dead`]).
//!
//! Commits have a connection of their own ([`link`]): the ingest worker writes to the socket, and
//! a reader thread hears the answer and completes the acks. Nothing on that path re-sends by
//! itself. Everything else goes over ordinary connections of the `redis` crate ([`backlog`]).

mod backlog;
mod check;
mod commit;
mod dead;
mod inspect;
mod journal;
mod link;
mod permissions;
mod stream;
mod wire;

pub use backlog::RedisBacklog;
pub use check::{check, settings};
pub use journal::RedisJournal;

use std::{sync::Arc, time::Duration};

use errsift_ops::id::{Epoch, Shard};
use redis::{ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, TlsCertificates};

use crate::{check::Demand, durability::Durability, tls::Tls};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long an answer may take before it counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where a shard's journal is, and what is asked of it.
#[derive(Clone)]
pub struct RedisStore {
    client: Arc<redis::Client>,
    keys: Arc<Keys>,
    demand: Demand,
    tls: Arc<rustls::ClientConfig>,
}

const URL_FORM: &str = "expected redis://[user:password@]host[:port][/db], or rediss:// for TLS";

impl RedisStore {
    /// A store at a `redis://` or `rediss://` URL; nothing is connected yet. The error does not
    /// repeat the URL, which may hold a password.
    pub fn new(
        url: &str,
        shard: Shard,
        durability: Durability,
        allow_weaker: bool,
    ) -> Result<Self, String> {
        let info = url.into_connection_info().map_err(|error| error.to_string())?;
        match info.addr() {
            ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { insecure: false, .. } => {}
            ConnectionAddr::TcpTls { .. } => {
                return Err("#insecure is not supported: anybody could answer".to_owned());
            }
            _ => return Err(URL_FORM.to_owned()),
        }
        // it would be a command more to allow, and a refused one is logged by the server
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let client = redis::Client::open(info.set_redis_settings(settings));
        let store = Self {
            client: Arc::new(client.map_err(|error| error.to_string())?),
            keys: Arc::new(Keys::new(shard)),
            demand: Demand { durability, allow_weaker },
            tls: Tls::default().client(),
        };
        store.trusting(&Tls::default())
    }

    /// The same, trusting whom `tls` says and showing its certificate, if it is encrypted.
    pub fn trusting(mut self, tls: &Tls) -> Result<Self, String> {
        if self.is_encrypted() {
            let certificates = TlsCertificates {
                client_tls: tls.identity().map(|identity| ClientTlsConfig {
                    client_cert: identity.chain.clone(),
                    client_key: identity.key.clone(),
                }),
                root_cert: tls.authorities().map(<[u8]>::to_vec),
            };
            let info = self.client.get_connection_info().clone();
            let client = redis::Client::build_with_tls(info, certificates);
            self.client = Arc::new(client.map_err(|error| error.to_string())?);
        }
        self.tls = tls.client();
        Ok(self)
    }

    /// Whether the URL asks for TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
    }

    /// The server as `host:port`, for people.
    pub fn address(&self) -> String {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                format!("{host}:{port}")
            }
            other => other.to_string(),
        }
    }

    /// The writing end.
    pub fn journal(&self) -> RedisJournal {
        RedisJournal::new(self.clone())
    }

    /// A reading end.
    pub fn backlog(&self) -> RedisBacklog {
        RedisBacklog::new(self.clone())
    }
}

/// Names of a shard's keys.
#[derive(Debug)]
struct Keys {
    prefix: String,
    fence: String,
    journal: String,
    pos: String,
    dead: String,
}

impl Keys {
    fn new(shard: Shard) -> Self {
        let prefix = format!("{{es:{shard}}}");
        Self {
            fence: format!("{prefix}:fence"),
            journal: format!("{prefix}:journal"),
            pos: format!("{prefix}:pos"),
            dead: format!("{prefix}:dead"),
            prefix,
        }
    }

    fn pending(&self, epoch: Epoch) -> String {
        format!("{}:pending:{epoch}", self.prefix)
    }
}
