//! Whether all events ever journaled are accounted for.

use std::collections::BTreeMap;

use errsift_ops::{
    flight::Flight,
    id::{Epoch, Part, Seq},
};
use errsift_pipeline::ports::{dead::DeadJobs, errors::Settled, journal::Fence};

use super::report::{Check, Report};

/// Events in the list by epoch and part: what is applied is told by these two.
#[derive(Default)]
pub struct Ledger {
    epochs: BTreeMap<Epoch, Box<[u64; Part::COUNT]>>,
}

impl Ledger {
    /// Adds a job's events.
    pub fn add(&mut self, flight: &Flight) {
        let sums = self.epochs.entry(flight.epoch).or_insert_with(|| Box::new([0; Part::COUNT]));
        for entry in &flight.entries {
            let sum = &mut sums[entry.fingerprint.part().index()];
            *sum = sum.saturating_add(entry.tally.count);
        }
    }

    /// What became of all events, for the fence, the tables and the jobs that were set aside as they
    /// stood when the list had all that was added, and nothing else that the guard rows do not have.
    pub fn account(&self, fence: &Fence, settled: &Settled, jobs: &DeadJobs) -> Account {
        let mut pending = 0_u64;
        for (epoch, sums) in &self.epochs {
            for (guard, sum) in settled.guards.iter().zip(sums.iter()) {
                if *epoch > guard.epoch {
                    pending = pending.saturating_add(*sum);
                }
            }
        }
        Account {
            journaled: fence.events,
            counted: settled.counted(),
            pending,
            dead: settled.dead.events,
            dropped: settled.dropped(),
            in_dead_jobs: jobs.events,
        }
    }

    /// Compares what became of all events with what was journaled.
    pub fn compare(&self, fence: &Fence, settled: &Settled, jobs: &DeadJobs, report: &mut Report) {
        let account = self.account(fence, settled, jobs);
        let Account { journaled, counted, pending, dead, dropped, in_dead_jobs } = account;
        let aside = match (dead, dropped) {
            (0, 0) => String::new(),
            _ => format!(", {dead} dead and {dropped} dropped"),
        };
        let mut sum =
            format!("{journaled} events journaled, {counted} applied and {pending} not yet{aside}");
        if jobs.last > Seq::default() {
            let number = jobs.jobs;
            if !jobs.is_counted() {
                let open = "how many are in them will be known when their epoch is applied";
                report.unknown(Check::Ledger, format!("{sum}, {number} jobs set aside: {open}"));
                return;
            }
            sum = format!("{sum}, {in_dead_jobs} in {number} jobs set aside");
        }
        match account.difference() {
            0 => report.right(Check::Ledger, sum),
            lost @ 1.. => report.wrong(Check::Ledger, format!("{sum}: {lost} are missing")),
            more => report.wrong(Check::Ledger, format!("{sum}: {} too many", -more)),
        }
    }
}

/// What became of all events ever journaled on a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// All of them: the fence's total.
    pub journaled: u64,
    /// In counts and windows.
    pub counted: u64,
    /// In jobs whose epoch is not applied.
    pub pending: u64,
    /// In the tables' dead letters.
    pub dead: u64,
    /// Given up.
    pub dropped: u64,
    /// In jobs of the journal that were set aside, as far as that is known.
    pub in_dead_jobs: u64,
}

impl Account {
    /// Events that are nowhere; below 0, events that are in two places.
    pub fn difference(&self) -> i128 {
        let Self { journaled, counted, pending, dead, dropped, in_dead_jobs } = *self;
        let found: i128 =
            [counted, pending, dead, dropped, in_dead_jobs].map(i128::from).iter().sum();
        i128::from(journaled) - found
    }
}
