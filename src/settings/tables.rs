//! Which tables to use, for commands that need no journal.

use std::path::PathBuf;

use clap::Args;

use super::{TlsSettings, stores::MYSQL_URL_HELP};

/// The tables of a process.
#[derive(Clone, Debug, Args)]
pub struct TableSettings {
    /// The tables' server.
    #[arg(long, env = "ERRSIFT_MYSQL_URL", help = MYSQL_URL_HELP, hide_env_values = true, value_name = "URL")]
    pub mysql_url: Option<String>,

    /// File of the embedded store, used when no URL is given
    #[arg(long, env = "ERRSIFT_DATA", default_value = "errsift.db", value_name = "FILE")]
    pub data: PathBuf,

    /// Whom to trust, and who we are.
    #[command(flatten)]
    pub tls: TlsSettings,
}
