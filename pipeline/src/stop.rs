//! Why a pipeline must end although nobody asked it to.

use errsift_ops::{
    id::{Epoch, Part, Seq},
    job::JobError,
};

/// What makes it wrong to go on. Nothing that was acknowledged is lost: the journal has it.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Another process has taken the shard.
    #[error("another process has taken this shard: {0}")]
    Fenced(String),
    /// The journal has forgotten flights that it had executed.
    #[error(
        "the journal went back from flight {expected} to {found}: it has lost acknowledged flights"
    )]
    JournalRegressed {
        /// The last flight this process knows to be executed.
        expected: Seq,
        /// The last one the journal knows.
        found: Seq,
    },
    /// The journal executed half of a commit.
    #[error("the journal broke its own transaction: {0}")]
    Broken(String),
    /// The tables have forgotten epochs that they had committed.
    #[error(
        "the tables went back from epoch {expected} to {found} in part {part}: start again to apply from the journal"
    )]
    ErrorsRegressed {
        /// The part.
        part: Part,
        /// The epoch this process knows to be applied.
        expected: Epoch,
        /// The epoch the guard row says.
        found: Epoch,
    },
    /// The tables did not answer at start, and turned out to be ahead of the epochs that are given
    /// since: the clock was put back.
    #[error(
        "the tables are at epoch {ahead}, the journal was taken at {acquired}: start again to go on from the tables"
    )]
    JournalBehind {
        /// The fence's epoch when the shard was taken.
        acquired: Epoch,
        /// The furthest guard row's.
        ahead: Epoch,
    },
    /// A job in the journal was written by a newer errsift: not damage, but a downgrade.
    #[error(
        "flight {seq} in the journal was written by a newer errsift ({error}): start that one again"
    )]
    Newer {
        /// Its number.
        seq: Seq,
        /// What this one reads.
        error: JobError,
    },
    /// The journal's list does not go on where it should.
    #[error("the journal holds flight {found} where {expected} should be")]
    Gap {
        /// The number wanted.
        expected: Seq,
        /// The number found.
        found: Seq,
    },
    /// A recorded log cannot be read on.
    #[error("{0}")]
    Unreadable(String),
    /// Nothing moves although it could.
    #[error("the pipeline is stuck: {0}")]
    Stuck(String),
}

impl Stop {
    /// Whether what is in memory should still be applied before the process ends, because the
    /// journal may not have it any more.
    pub fn wants_drain(&self) -> bool {
        matches!(self, Self::JournalRegressed { .. })
    }

    /// The process's exit code, after `sysexits.h`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Fenced(_) => 75,
            Self::JournalRegressed { .. }
            | Self::JournalBehind { .. }
            | Self::ErrorsRegressed { .. }
            | Self::Unreadable(_) => 74,
            Self::Broken(_) | Self::Stuck(_) => 70,
            Self::Newer { .. } | Self::Gap { .. } => 65,
        }
    }
}
