//! An error's live count: what is applied, plus what is journaled and not applied yet.

use errsift_ops::{
    fingerprint::Fingerprint,
    id::{Epoch, Shard},
};

use crate::ports::{
    errors::{ErrorRow, ErrorsFault, ErrorsReader},
    journal::{Backlog, JournalFault},
};

/// Why a live count could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LiveFault {
    /// The journal did not answer.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The tables did not answer.
    #[error(transparent)]
    Errors(#[from] ErrorsFault),
}

/// Reads one error with its live count: no event is seen twice, and none that was passed on to the
/// pending counts before the call is missed.
///
/// What is pending is read first. An epoch that is applied between the two reads is then left out
/// by the guard that the table's count was read under.
pub fn read(
    shard: Shard,
    fingerprint: &Fingerprint,
    epochs: &[Epoch],
    backlog: &mut dyn Backlog,
    errors: &mut dyn ErrorsReader,
) -> Result<ErrorRow, LiveFault> {
    let pending = backlog.pending(fingerprint, epochs)?;
    let mut row = errors.read(shard, fingerprint)?;
    row.count += waiting(epochs, &pending, row.epoch);
    Ok(row)
}

/// As [`read`], for several at once: `rows` reads them from the tables, in the order of
/// `fingerprints`, each together with its part's guard.
pub fn read_all<F: From<JournalFault>>(
    fingerprints: &[Fingerprint],
    epochs: &[Epoch],
    backlog: &mut dyn Backlog,
    rows: impl FnOnce() -> Result<Vec<ErrorRow>, F>,
) -> Result<Vec<ErrorRow>, F> {
    let pending = backlog.pending_all(fingerprints, epochs)?;
    let mut rows = rows()?;
    for (row, pending) in rows.iter_mut().zip(&pending) {
        row.count += waiting(epochs, pending, row.epoch);
    }
    Ok(rows)
}

/// What is pending of epochs that come after `applied`.
fn waiting(epochs: &[Epoch], pending: &[u64], applied: Epoch) -> u64 {
    let later = epochs.iter().zip(pending).filter(|(epoch, _)| **epoch > applied);
    later.map(|(_, count)| count).sum()
}
