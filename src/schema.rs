//! What the two table stores say of their schema.

use errsift_ops::id::Part;
use errsift_pipeline::ports::errors::ErrorsFault;

/// Number of a schema: how many migrations have made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaVersion(pub u32);

impl std::fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How a schema was found that this binary may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// There is none, or none that is finished: making it takes no time.
    Absent,
    /// There is one to be brought up to date, with whatever lies in it.
    Behind,
    /// It is this binary's.
    UpToDate,
}

/// Why a store's schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaFault {
    /// A newer errsift has made it.
    #[error(
        "the schema is at version {found}, and this errsift knows versions up to {known}: \
         run a newer errsift"
    )]
    Newer {
        /// The store's version.
        found: SchemaVersion,
        /// The newest that this binary knows.
        known: SchemaVersion,
    },
    /// The store was made with another value of a setting that cannot change.
    #[error("the store was made with {name}={found}, and this errsift needs {name}={needed}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What the store says.
        found: String,
        /// What this binary needs.
        needed: String,
    },
    /// The user may not do what is needed.
    #[error("{line}")]
    Denied {
        /// What is missing, and what grants it.
        line: String,
    },
    /// Another server has been migrating for too long.
    #[error("another server has been migrating the schema for more than {waited_seconds} s")]
    Busy {
        /// How long this one waited.
        waited_seconds: u32,
    },
    /// Nobody knows yet whether it can be used.
    #[error("the schema is being looked at")]
    Unseen,
    /// It is being changed, which takes as long as the tables are large.
    #[error("the schema is being brought up to date")]
    Underway,
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] ErrorsFault),
}

/// Refuses a schema newer than `known`.
pub fn refuse_newer(found: SchemaVersion, known: SchemaVersion) -> Result<(), SchemaFault> {
    if found > known { Err(SchemaFault::Newer { found, known }) } else { Ok(()) }
}

/// Refuses a setting that was stored with another value.
pub fn refuse_other(name: &'static str, found: &str, needed: &str) -> Result<(), SchemaFault> {
    if found == needed {
        return Ok(());
    }
    Err(SchemaFault::Setting { name, found: found.to_owned(), needed: needed.to_owned() })
}

/// Name of the stored number of parts.
pub const PARTS: &str = "parts";

/// The number of parts as it is stored.
pub fn parts() -> String {
    Part::COUNT.to_string()
}
