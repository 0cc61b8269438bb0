//! Looking into a shard's stores beside a running server: nothing here writes, takes the shard,
//! makes a file or brings a schema up to date.

use bytes::Bytes;
use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Seq},
};
use errsift_pipeline::ports::{
    dead::DeadJobs,
    errors::{ErrorsFault, Settled},
    journal::{Fence, JournalFault},
};

/// Jobs of one page at most.
pub const PAGE_JOBS: usize = 64;
/// Bytes of the jobs of one page at most, but for a single job that is larger.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Fence and list at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The fence.
    pub fence: Fence,
    /// Number of the list's first job: where it has been trimmed to.
    pub base: Seq,
    /// Jobs in the list.
    pub jobs: u64,
    /// Bytes the store gives for them, roughly.
    pub bytes: u64,
}

/// A job as it lies in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredJob {
    /// The number that it has by its place, which its own bytes should say too.
    pub at: Seq,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Some jobs of the list, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPage {
    /// Number of the list's first job at that instant.
    pub base: Seq,
    /// Jobs from the number asked for (or `base`, if that is later) on; none at the list's end.
    pub jobs: Vec<StoredJob>,
}

/// A pending count; `None` for a row that is none.
pub type PendingRow = Option<(Fingerprint, u64)>;

/// Reads one shard's journal. All methods block.
pub trait InspectJournal {
    /// Fence and list, read at one instant.
    fn standing(&mut self) -> Result<Standing, JournalFault>;

    /// Jobs from number `from` on: up to [`PAGE_JOBS`] and [`PAGE_BYTES_MAX`].
    fn jobs(&mut self, from: Seq) -> Result<JobPage, JournalFault>;

    /// Tells `each` the pending counts of `epoch`, read piece by piece: counts that grow meanwhile
    /// may be told as they were or as they are, and one may be told twice; the later holds.
    fn pending(
        &mut self,
        epoch: Epoch,
        each: &mut dyn FnMut(PendingRow),
    ) -> Result<(), JournalFault>;

    /// The jobs that were set aside, together.
    fn dead(&mut self) -> Result<DeadJobs, JournalFault>;

    /// Up to `jobs_max` of them as they were written, oldest first, leaving out the first `skipped`.
    fn dead_jobs(&mut self, skipped: u64, jobs_max: usize) -> Result<Vec<Bytes>, JournalFault>;
}

/// Reads a shard's guard rows and the sum of its dead letters.
pub trait InspectGuards {
    /// Both as they stand, at one instant; guard rows that are missing are zero.
    fn settled(&mut self) -> Result<Settled, ErrorsFault>;
}
