//! The journal on Redis.
//!
//! Keys of a shard, all with the hash tag `{es:<shard>}` so that a cluster keeps them together:
//! `:fence` hash {term, nonce, seq, epoch, events}, written only by taking the shard and by
//! commits · `:journal` list of jobs · `:pos` hash {base, …}, the number of the list's first job ·
//! `:pending:<epoch>` hash fingerprint → count · `:ids` list of the event ids of trimmed jobs, for
//! as long as they matter · `:holder` hash, the holder's mark, which expires · `:dead` list of jobs
//! that were set aside ([`dead`]).
//!
//! Commits have a connection of their own ([`link`]): the ingest worker writes to the socket, and
//! a reader thread hears the answer and completes the acks. Nothing on that path re-sends by
//! itself. Everything else goes over ordinary connections of the `redis` crate ([`backlog`]).
//!
//! Where there are sentinels, each new connection asks them for the master ([`sentinel`]), makes
//! sure that it has met one, and is given up when they name another ([`follow`]).

mod address;
mod backlog;
mod check;
mod commit;
mod dead;
mod follow;
mod heal;
mod holder;
mod inspect;
mod journal;
mod link;
mod permissions;
mod quorum;
mod scripts;
mod sentinel;
mod stream;
mod wire;

pub use backlog::RedisBacklog;
pub use check::{check, settings};
pub use journal::RedisJournal;

use std::{sync::Arc, time::Duration};

use errsift_ops::id::{Epoch, Shard};
use errsift_pipeline::ports::journal::JournalFault;
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use sentinel::{Node, Sentinels};

use crate::{check::Demand, durability::Durability, tls::Tls};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long an answer may take before it counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where a shard's journal is, and what is asked of it.
#[derive(Clone)]
pub struct RedisStore {
    /// Of sentinels' URLs, a stand-in whose address is replaced by the master's.
    client: Arc<redis::Client>,
    sentinels: Option<Arc<Sentinels>>,
    keys: Arc<Keys>,
    demand: Demand,
    tls: Arc<rustls::ClientConfig>,
}

impl RedisStore {
    /// A store at a `redis://` or `redis+sentinel://` URL, or one with `rediss` for TLS; nothing is
    /// connected yet. The error does not repeat the URL, which may hold a password.
    pub fn new(
        url: &str,
        shard: Shard,
        durability: Durability,
        allow_weaker: bool,
    ) -> Result<Self, String> {
        let (info, sentinels) = address::read(url)?;
        let client = redis::Client::open(info);
        let store = Self {
            client: Arc::new(client.map_err(|error| error.to_string())?),
            sentinels: sentinels.map(Arc::new),
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
            if let Some(sentinels) = &mut self.sentinels {
                *sentinels = Arc::new(sentinels.trusting(&certificates));
            }
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

    /// Where to connect to, and the node that this is if sentinels named it. Sentinels are asked
    /// anew, which blocks for about a second at most.
    fn place(&self) -> Result<(ConnectionInfo, Option<Node>), JournalFault> {
        let info = self.client.get_connection_info().clone();
        let Some(sentinels) = &self.sentinels else { return Ok((info, None)) };
        let node = sentinels.master()?;
        let addr = address::at(&node, info.addr());
        Ok((info.set_addr(addr), Some(node)))
    }

    /// Whether sentinels have named another master since `node` was connected to.
    fn is_outdated(&self, node: Option<&Node>) -> bool {
        let known = self.sentinels.as_ref().and_then(|sentinels| sentinels.known());
        known.is_some_and(|known| node.is_some_and(|node| *node != known))
    }

    /// The server as `host:port`, or what sentinels are asked for and their last answer, for
    /// people.
    pub fn address(&self) -> String {
        if let Some(sentinels) = &self.sentinels {
            return sentinels.to_string();
        }
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
    ids: String,
    holder: String,
    dead: String,
}

impl Keys {
    fn new(shard: Shard) -> Self {
        let prefix = format!("{{es:{shard}}}");
        Self {
            fence: format!("{prefix}:fence"),
            journal: format!("{prefix}:journal"),
            pos: format!("{prefix}:pos"),
            ids: format!("{prefix}:ids"),
            holder: format!("{prefix}:holder"),
            dead: format!("{prefix}:dead"),
            prefix,
        }
    }

    fn pending(&self, epoch: Epoch) -> String {
        format!("{}:pending:{epoch}", self.prefix)
    }
}
