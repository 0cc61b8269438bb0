//! Whether all events ever journaled are accounted for.

use std::collections::BTreeMap;

use errsift_ops::{
    flight::Flight,
    id::{Epoch, Part, Seq},
};
use errsift_pipeline::ports::{dead::DeadJobs, errors::Guards, journal::Fence};

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

    /// Compares, for the fence and the guard rows as they stood when the list had all that was
    /// added, and nothing else that the guard rows do not have.
    pub fn compare(&self, fence: &Fence, guards: &Guards, dead: &DeadJobs, report: &mut Report) {
        let applied: u64 = guards.iter().map(|guard| guard.events).sum();
        let mut unapplied = 0_u64;
        for (epoch, sums) in &self.epochs {
            for (guard, sum) in guards.iter().zip(sums.iter()) {
                if *epoch > guard.epoch {
                    unapplied = unapplied.saturating_add(*sum);
                }
            }
        }
        let journaled = fence.events;
        let mut sum =
            format!("{journaled} events journaled, {applied} applied and {unapplied} not yet");
        if dead.last > Seq::default() {
            let jobs = dead.jobs;
            if !dead.is_counted() {
                let open = "how many are in them will be known when their epoch is applied";
                report.unknown(Check::Ledger, format!("{sum}, {jobs} jobs set aside: {open}"));
                return;
            }
            sum = format!("{sum}, {} in {jobs} jobs set aside", dead.events);
        }
        let accounted = i128::from(applied) + i128::from(unapplied) + i128::from(dead.events);
        match i128::from(journaled) - accounted {
            0 => report.right(Check::Ledger, sum),
            lost @ 1.. => report.wrong(Check::Ledger, format!("{sum}: {lost} are missing")),
            more => report.wrong(Check::Ledger, format!("{sum}: {} too many", -more)),
        }
    }
}
