//! Which stores to use, and how durable they must be.

use std::path::PathBuf;

use clap::Args;

use super::TlsSettings;
use crate::durability::Durability;

const REDIS_URL_HELP: &str = "Redis for the journal, as redis://[user:password@]host[:port][/db], or as \
     redis+sentinel://[user:password@]host[:port],host[:port],…/MASTER[/db] where sentinels name the master, with \
     ?sentinel-user=…&sentinel-password=… if they want them, or with rediss for TLS (and sentinel-tls=no if the sentinels are without); needs --mysql-url too. Other users of the machine can read flags: give passwords by the environment";
pub(super) const MYSQL_URL_HELP: &str = "MySQL or MariaDB for the tables, as mysql://user:password@host[:port]/database, with \
     ?ssl-mode=verify-identity for TLS (or required: encrypted, to whoever answers; disabled if \
     absent); needs --redis-url too";

/// The stores of a process, and its place in them.
#[derive(Clone, Debug, Args)]
pub struct StoreSettings {
    /// The journal's server.
    #[arg(long, env = "ERRSIFT_REDIS_URL", help = REDIS_URL_HELP, hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,

    /// The tables' server.
    #[arg(long, env = "ERRSIFT_MYSQL_URL", help = MYSQL_URL_HELP, hide_env_values = true, value_name = "URL")]
    pub mysql_url: Option<String>,

    /// File of the embedded store, used when no URL is given; its journal lies beside it
    #[arg(long, env = "ERRSIFT_DATA", default_value = "errsift.db", value_name = "FILE")]
    pub data: PathBuf,

    /// When an event counts as stored
    #[arg(long, env = "ERRSIFT_DURABILITY", value_enum, default_value_t, value_name = "LEVEL")]
    pub durability: Durability,

    /// Run although the stores' settings are weaker than --durability, or cannot be read
    #[arg(long, env = "ERRSIFT_ALLOW_WEAKER")]
    pub allow_weaker: bool,

    /// Number of the journal to write, 0 to 65535; each process needs one of its own
    #[arg(long, env = "ERRSIFT_SHARD", default_value = "0", value_parser = shard,
          value_name = "N")]
    pub shard: u16,

    /// Whom to trust, and who we are.
    #[command(flatten)]
    pub tls: TlsSettings,
}

fn shard(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a number from 0 to 65535".to_owned())
}
