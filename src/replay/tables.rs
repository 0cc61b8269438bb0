//! The tables alone, without a journal: a recorded log is its own.

use std::{sync::Arc, thread, time::Duration};

use errsift_pipeline::{
    memory::MemoryErrors,
    ports::errors::{Errors, ErrorsFault},
};
use tokio::runtime::Handle;

use super::sources::Sources;
use crate::{
    embedded::EmbeddedErrors,
    migrated::{Migrate, Migrated},
    mysql::MysqlErrors,
    schema::{SchemaFault, Stand},
    settings::TableSettings,
    tls::Tls,
};

/// How often to ask whether the schema is up to date.
const PAUSE: Duration = Duration::from_millis(200);

/// Where events are counted.
pub enum Tables {
    /// A server.
    Mysql {
        /// Its tables.
        errors: Migrated<MysqlErrors>,
        /// The server, for people.
        address: String,
    },
    /// A file.
    Embedded {
        /// Its tables.
        errors: Migrated<EmbeddedErrors>,
        /// Its path, for people.
        path: String,
    },
    /// Nowhere that lasts: to see what would be counted.
    Memory(MemoryErrors),
}

impl Tables {
    /// Chooses by the settings; connects nothing and makes no file yet. An error names the settings
    /// that are wrong, one a line.
    pub fn new(settings: &TableSettings, handle: &Handle) -> Result<Self, String> {
        let Some(url) = &settings.mysql_url else {
            let path = settings.data.display().to_string();
            let errors = Migrated::new(EmbeddedErrors::new(&settings.data));
            return Ok(Self::Embedded { errors, path });
        };
        let tls = Tls::read(&settings.tls).map_err(|wrong| wrong.join("\n"))?;
        let errors = MysqlErrors::new(url, handle.clone())
            .map_err(|reason| format!("--mysql-url: {reason}"))?
            .trusting(&tls);
        let address = errors.address();
        Ok(Self::Mysql { errors: Migrated::new(errors), address })
    }

    /// Brings the schema up to date, or says why not. Blocks for as long as that takes.
    pub fn migrate(&self) -> Result<(), SchemaFault> {
        patiently(|| match self {
            Self::Mysql { errors, .. } => errors.migrate(),
            Self::Embedded { errors, .. } => errors.migrate(),
            Self::Memory(_) => Ok(()),
        })
    }

    /// The same, but for what tables that are made now are only read by: if they are then
    /// [`Stand::Behind`], they are to be [completed](Self::complete).
    pub fn begin(&self) -> Result<Stand, SchemaFault> {
        patiently(|| match self {
            Self::Mysql { errors, .. } => errors.begin(),
            Self::Embedded { errors, .. } => errors.begin(),
            Self::Memory(_) => Ok(Stand::UpToDate),
        })
    }

    /// Makes what [`begin`](Self::begin) has left out. Blocks for as long as that takes.
    pub fn complete(&self) -> Result<(), SchemaFault> {
        loop {
            let completed = match self {
                Self::Mysql { errors, .. } => errors.store().complete().map(|_| ()),
                Self::Embedded { errors, .. } => errors.store().complete().map(|_| ()),
                Self::Memory(_) => Ok(()),
            };
            // another process may be at the same
            if !matches!(completed, Err(SchemaFault::Busy { .. })) {
                return completed;
            }
        }
    }

    /// The tables.
    pub fn errors(&self) -> Arc<dyn Errors> {
        match self {
            Self::Mysql { errors, .. } => Arc::new(errors.clone()),
            Self::Embedded { errors, .. } => Arc::new(errors.clone()),
            Self::Memory(errors) => Arc::new(errors.clone()),
        }
    }

    /// The recorded logs that they know; `None` if they know none.
    pub fn sources(&self) -> Option<Box<dyn Sources>> {
        match self {
            Self::Mysql { errors, .. } => Some(errors.store().sources()),
            Self::Embedded { errors, .. } => Some(errors.store().sources()),
            Self::Memory(_) => None,
        }
    }

    /// For people, without secrets.
    pub fn describe(&self) -> String {
        match self {
            Self::Mysql { address, .. } => format!("mysql at {address}"),
            Self::Embedded { path, .. } => format!("embedded in {path}"),
            Self::Memory(_) => "memory".to_owned(),
        }
    }
}

/// Asks again while others change the schema.
fn patiently<T>(mut change: impl FnMut() -> Result<T, SchemaFault>) -> Result<T, SchemaFault> {
    loop {
        match change() {
            Err(SchemaFault::Unseen | SchemaFault::Underway) => thread::sleep(PAUSE),
            changed => return changed,
        }
    }
}

/// What is wrong with the tables, as an exit code tells it apart.
#[derive(Debug, thiserror::Error)]
pub enum TablesFault {
    /// They do not answer, or refuse.
    #[error(transparent)]
    Errors(#[from] ErrorsFault),
    /// Another replay of the same log has claimed it.
    #[error("{0} is being replayed by another process")]
    Claimed(String),
    /// The log was begun with other rules and not finished.
    #[error(
        "{0} was begun with other settings (format, level, service, pattern) and is not at one \
         place in all parts: finish it with those first"
    )]
    OtherRules(String),
    /// All numbers are taken.
    #[error("no number is left for {0}: the tables know 32,768 recorded logs")]
    Full(String),
}
