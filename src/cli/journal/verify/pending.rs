//! Whether an epoch's pending counts are what its jobs hold.
//!
//! Pending counts follow the jobs within a second or so, but may lag behind a store that is slow,
//! and stay behind when a server has been killed: a successor counts them anew. So too much is
//! always wrong, and too little only for jobs of the writer that still holds the shard, and only
//! some time after they were journaled.

use std::collections::HashMap;

use errsift_ops::{
    fingerprint::Fingerprint,
    flight::Flight,
    id::{Epoch, Seq},
};

use super::report::{Check, Report};
use crate::inspect::PendingRow;

/// How long pending counts may lag behind the jobs, in milliseconds: reading guard rows from
/// tables that hang comes before them and may take 40 s.
pub const LAG_MS: i64 = 60_000;

#[derive(Clone, Copy, Default)]
struct Counts {
    /// In jobs that must be counted by now.
    due: u64,
    /// In all jobs.
    journaled: u64,
    pending: u64,
}

/// One epoch's counts, from its jobs and as pending: memory for as many distinct errors as it has.
pub struct EpochCounts {
    /// The epoch.
    pub epoch: Epoch,
    /// Its first job in the list.
    pub first: Seq,
    /// Whether all its jobs were read.
    pub whole: bool,
    counts: HashMap<Fingerprint, Counts>,
    unreadable: u64,
}

/// Sums over the epochs.
#[derive(Default)]
pub struct Totals {
    /// Epochs compared.
    pub epochs: u64,
    /// Events pending.
    pub pending: u64,
    /// Events in jobs that are not pending yet.
    pub behind: u64,
}

impl EpochCounts {
    /// An epoch that begins with the job `first`.
    pub fn new(epoch: Epoch, first: Seq) -> Self {
        Self { epoch, first, whole: true, counts: HashMap::new(), unreadable: 0 }
    }

    /// Adds a job of this epoch; `due` if it must be counted by now.
    pub fn add(&mut self, flight: &Flight, due: bool) {
        for entry in &flight.entries {
            let counts = self.counts.entry(entry.fingerprint).or_default();
            counts.journaled = counts.journaled.saturating_add(entry.tally.count);
            if due {
                counts.due = counts.due.saturating_add(entry.tally.count);
            }
        }
    }

    /// Notes a pending count.
    pub fn pending(&mut self, row: PendingRow) {
        match row {
            Some((fingerprint, count)) => {
                self.counts.entry(fingerprint).or_default().pending = count;
            }
            None => self.unreadable += 1,
        }
    }

    /// Compares, once everything is added that can have been pending.
    pub fn compare(&self, totals: &mut Totals, report: &mut Report) {
        let (mut missing, mut missing_errors) = (0_u64, 0_u64);
        let epoch = self.epoch;
        totals.epochs += 1;
        for (fingerprint, counts) in &self.counts {
            let Counts { due, journaled, pending } = *counts;
            totals.pending = totals.pending.saturating_add(pending);
            totals.behind = totals.behind.saturating_add(journaled.saturating_sub(pending));
            if pending > journaled {
                report.wrong(
                    Check::Pending,
                    format!("epoch {epoch}: {pending} of {fingerprint}, {journaled} in the jobs"),
                );
            }
            if pending < due {
                missing = missing.saturating_add(due - pending);
                missing_errors += 1;
            }
        }
        if missing > 0 {
            report.wrong(
                Check::Pending,
                format!(
                    "epoch {epoch}: {missing} events of {missing_errors} errors are in the jobs and \
                     not pending: live counts are too low until they are applied"
                ),
            );
        }
        if self.unreadable > 0 {
            let rows = self.unreadable;
            report.wrong(Check::Pending, format!("epoch {epoch}: {rows} rows cannot be read"));
        }
    }
}
