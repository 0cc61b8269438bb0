//! Recorded logs: what a replay reads, and who it replays it as.

use std::{ops::Range, sync::Arc, time::Duration};

use errsift_ops::{
    id::{Epoch, Nonce, Part, Shard, Term},
    recorded::{form::Form, seen::Folded},
};
use serde::{Deserialize, Serialize};

use super::errors::Claim;

/// Whole records that lie together.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Where they start, in bytes from the start of the decompressed log.
    pub at: u64,
    /// The boundary at which their range ends: its time in the dataflow.
    pub range: u64,
    /// What was read, to be read into again.
    pub buffer: Vec<u8>,
    /// Where in it the records are.
    pub span: Range<usize>,
}

impl Chunk {
    /// The records.
    pub fn records(&self) -> &[u8] {
        &self.buffer[self.span.clone()]
    }
}

/// What there is to take.
#[derive(Debug)]
pub enum Taken {
    /// Something to fold.
    Chunk(Chunk),
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    End,
}

/// A range of which all chunks were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its time in the dataflow.
    pub range: u64,
    /// Where it ends: the epoch that its parts then stand at.
    pub end: Epoch,
}

/// Why a recorded log cannot be read on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RecordingFault(pub String);

/// One recorded log, read by all workers of a process. Chunks come in order, each to one of them.
pub trait Recording: Send + Sync {
    /// The next chunk; waits at most `wait` for it. `used` is a chunk that is not needed any more.
    fn take(&self, used: Chunk, wait: Duration) -> Result<Taken, RecordingFault>;

    /// The ranges behind `after` that are closed and lie before `open`, or all, in order. Asked for
    /// ranges that every worker has left.
    fn closed(&self, after: u64, open: Option<u64>) -> Result<Vec<Closed>, RecordingFault>;

    /// Ends the log where the chunks end that were taken.
    fn stop(&self);
}

/// One log to be replayed, as the worker that has claimed it tells all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which of the logs that were asked for, from 0.
    pub index: usize,
    /// The shard that it is.
    pub shard: Shard,
    /// The term that it was taken with.
    pub term: Term,
    /// And the nonce.
    pub nonce: Nonce,
    /// Where each part stands, in order of the parts.
    pub stands: Vec<Epoch>,
    /// Where it ends, if that is known beforehand.
    pub end: Option<u64>,
    /// A hash of its beginning, which all who open it must find.
    pub head: [u8; 32],
}

impl Plan {
    /// Who applies.
    pub fn claim(&self) -> Claim {
        Claim { shard: self.shard, term: self.term, nonce: self.nonce }
    }

    /// Where each part stands, in bytes.
    pub fn offsets(&self) -> Vec<u64> {
        debug_assert_eq!(self.stands.len(), Part::COUNT);
        self.stands.iter().map(|stand| stand.0).collect()
    }
}

/// A log, opened.
#[derive(Clone)]
pub struct Opened {
    /// Where chunks come from.
    pub recording: Arc<dyn Recording>,
    /// What form it has.
    pub form: Form,
}

/// The logs of one replay, in order.
pub trait Recordings: Send + Sync + 'static {
    /// Claims the next log that has something to replay; `None` when there is none. Called by one
    /// worker of all, and blocks.
    fn next(&self) -> Option<Plan>;

    /// Opens a log by its plan. Called by each worker; those of a process get the same.
    fn open(&self, plan: &Plan) -> Result<Opened, RecordingFault>;

    /// Hears what a chunk of a log has come to, before anything of it is applied.
    fn folded(&self, index: usize, bytes: u64, folded: &mut Folded);
}
