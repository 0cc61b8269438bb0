//! The journal on Redis.
//!
//! Keys of a shard, all with the hash tag `{es:<shard>}` so that a cluster keeps them together:
//! `:fence` hash {term, nonce, seq, epoch, events}, written only by taking the shard and by
//! commits · `:journal` list of jobs · `:pos` hash {base}, the number of the list's first job ·
//! `:pending:<epoch>` hash fingerprint → count.
//!
//! Commits have a connection of their own ([`link`]): the ingest worker writes to the socket, and
//! a reader thread hears the answer and completes the acks. Nothing on that path re-sends by
//! itself. Everything else goes over ordinary connections of the `redis` crate ([`backlog`]).

mod backlog;
mod check;
mod commit;
mod inspect;
mod journal;
mod link;
mod wire;

pub use backlog::RedisBacklog;
pub use check::check;
pub use journal::RedisJournal;

use std::{sync::Arc, time::Duration};

use errsift_ops::id::{Epoch, Shard};

use crate::durability::Durability;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long an answer may take before it counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where a shard's journal is, and what is asked of it.
#[derive(Clone)]
pub struct RedisStore {
    client: redis::Client,
    keys: Arc<Keys>,
    durability: Durability,
    /// Whether to run although the server's settings are weaker than asked, or cannot be read.
    allow_weaker: bool,
}

impl RedisStore {
    /// A store at a `redis://` URL; nothing is connected yet. The error does not repeat the URL,
    /// which may hold a password.
    pub fn new(
        url: &str,
        shard: Shard,
        durability: Durability,
        allow_weaker: bool,
    ) -> Result<Self, String> {
        let client = redis::Client::open(url).map_err(|error| error.to_string())?;
        if !matches!(client.get_connection_info().addr(), redis::ConnectionAddr::Tcp(..)) {
            return Err("expected redis://[user:password@]host[:port][/db]".to_owned());
        }
        Ok(Self { client, keys: Arc::new(Keys::new(shard)), durability, allow_weaker })
    }

    /// The server as `host:port`, for people.
    pub fn address(&self) -> String {
        match self.client.get_connection_info().addr() {
            redis::ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
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
}

impl Keys {
    fn new(shard: Shard) -> Self {
        let prefix = format!("{{es:{shard}}}");
        Self {
            fence: format!("{prefix}:fence"),
            journal: format!("{prefix}:journal"),
            pos: format!("{prefix}:pos"),
            prefix,
        }
    }

    fn pending(&self, epoch: Epoch) -> String {
        format!("{}:pending:{epoch}", self.prefix)
    }
}
