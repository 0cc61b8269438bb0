//! The mark that a shard's holder leaves beside the journal, so that a second process waits
//! instead of taking the shard from one that is at work.
//!
//! The mark decides nothing: who may write is told by the fence alone. A mark that is lost, late or
//! wrong costs a take-over, or a wait of [`MARK_MAX`], and never an event.

use std::{fmt, time::Duration};

use errsift_ops::id::{Nonce, Term};

use super::journal::Fence;

/// How long a mark holds from its last beat.
pub const MARK_MAX: Duration = Duration::from_secs(5);

/// Which process holds a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Name of the machine, for people.
    pub host: String,
    /// Equal for two processes that see each other by number: one boot of one machine, and one
    /// space of process numbers in it. Empty if the system does not tell.
    pub pid_space: String,
    /// Number of the process there.
    pub pid: u32,
    /// When it was started, in the system's own units: numbers are used again.
    pub started: u64,
}

/// The mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The writer's term.
    pub term: Term,
    /// The writer's nonce.
    pub nonce: Nonce,
    /// Where it runs.
    pub place: Place,
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { host, pid, .. } = &self.place;
        write!(out, "process {pid} on {} (term {})", host.escape_debug(), self.term)
    }
}

/// How renewing the mark ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The shard is held, and the mark says so for another [`MARK_MAX`].
    Held,
    /// The fence is another writer's, as found; the mark was left alone.
    Fenced(Fence),
}
