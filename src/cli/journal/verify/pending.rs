//! Whether an epoch's pending counts are what its jobs hold.
//!
//! Pending counts follow the jobs within a second or so, but may lag behind a store that is slow,
//! and stay behind when a server has been killed: a successor counts them anew. While the tables
//! are away they stop at a full backlog, and all jobs after it wait. And a count that could not be
//! added is lost until its epoch is applied, which damages no table. So too much is always wrong,
//! and too little never is: at the end of the list it is to be expected, and before epochs that are
//! counted it is said, if the jobs are of the writer that still holds the shard and have been
//! journaled for some time.

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
    /// In jobs that must be counted by now if any job after them is.
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

/// What is due and not pending.
#[derive(Clone, Copy, Default)]
struct Missing {
    events: u64,
    errors: u64,
}

impl Missing {
    fn add(&mut self, more: Self) {
        self.events = self.events.saturating_add(more.events);
        self.errors += more.errors;
    }
}

/// Sums over the epochs.
#[derive(Default)]
pub struct Totals {
    /// Epochs compared.
    epochs: u64,
    /// Events pending.
    pending: u64,
    /// Events in jobs that are not pending yet.
    behind: u64,
    /// Since the last epoch of which anything is pending, itself included.
    tail: Missing,
    /// Before that epoch: passed over.
    skipped: Missing,
}

impl Totals {
    /// Notes whether the next epoch shows that those before it have had their turn.
    pub fn follow(&mut self, epoch: &EpochCounts) {
        if epoch.counts.values().any(|counts| counts.pending > 0) {
            self.skipped.add(std::mem::take(&mut self.tail));
        }
    }

    /// Says what was found, once all epochs are compared.
    pub fn conclude(&self, report: &mut Report) {
        let Self { epochs, pending, behind, skipped, .. } = *self;
        let behind = if behind > 0 { format!(", {behind} not yet counted") } else { String::new() };
        report.right(Check::Pending, format!("{pending} events in {epochs} epochs{behind}"));
        let Missing { events, errors } = skipped;
        if events > 0 {
            let why = format!(
                "{events} events of {errors} errors are not pending, and later ones are: their \
                 counts were lost, or came meanwhile; live counts may be too low until they are \
                 applied"
            );
            report.unknown(Check::Pending, why);
        }
    }
}

impl EpochCounts {
    /// An epoch that begins with the job `first`.
    pub fn new(epoch: Epoch, first: Seq) -> Self {
        Self { epoch, first, whole: true, counts: HashMap::new(), unreadable: 0 }
    }

    /// Adds a job of this epoch; `due` if it must be counted by now if any job after it is.
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
                totals.tail.add(Missing { events: due - pending, errors: 1 });
            }
        }
        if self.unreadable > 0 {
            let rows = self.unreadable;
            report.wrong(Check::Pending, format!("epoch {epoch}: {rows} rows cannot be read"));
        }
    }
}
