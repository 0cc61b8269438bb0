//! When an event counts as stored.

use std::fmt;

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// The journal has flushed it to disk.
    #[default]
    Fsync,
    /// A replica of the journal has it.
    Replicated,
    /// The journal flushes to disk within about a second; a power cut may lose that much.
    Everysec,
    /// The journal has it in memory only.
    Memory,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fsync => "fsync",
            Self::Replicated => "replicated",
            Self::Everysec => "everysec",
            Self::Memory => "memory",
        })
    }
}
