//! Tables in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use errsift_ops::{
    fingerprint::Fingerprint, flight::Details, id::Shard, tally::Tally, window::Window,
};

use super::locked;
use crate::ports::errors::{
    Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
    ErrorsWriter, Guards, Range,
};

/// Tables in memory; clones and handles share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryErrors(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    guards: BTreeMap<Shard, Guards>,
    details: BTreeMap<Fingerprint, Box<Details>>,
    counts: BTreeMap<Fingerprint, Tally>,
    windows: BTreeMap<(Window, Fingerprint), u64>,
}

impl MemoryErrors {
    /// All counts, by fingerprint.
    pub fn counts(&self) -> BTreeMap<Fingerprint, Tally> {
        locked(&self.0).counts.clone()
    }

    /// All window counts.
    pub fn windows(&self) -> BTreeMap<(Window, Fingerprint), u64> {
        locked(&self.0).windows.clone()
    }

    /// All messages, by fingerprint.
    pub fn messages(&self) -> BTreeMap<Fingerprint, String> {
        let tables = locked(&self.0);
        let message = |details: &Details| details.payload.message.clone();
        tables
            .details
            .iter()
            .map(|(fingerprint, details)| (*fingerprint, message(details)))
            .collect()
    }

    /// The guard rows of a shard.
    pub fn guards(&self, shard: Shard) -> Guards {
        locked(&self.0).guards.get(&shard).copied().unwrap_or_else(empty)
    }
}

fn empty() -> Guards {
    std::array::from_fn(|_| crate::ports::errors::Guard::default())
}

impl Errors for MemoryErrors {
    fn writer(&self) -> Box<dyn ErrorsWriter> {
        Box::new(self.clone())
    }

    fn reader(&self) -> Box<dyn ErrorsReader> {
        Box::new(self.clone())
    }
}

impl ErrorsWriter for MemoryErrors {
    fn take_guards(&mut self, claim: &Claim) -> Result<Guards, ErrorsFault> {
        let mut tables = locked(&self.0);
        let guards = tables.guards.entry(claim.shard).or_insert_with(empty);
        for guard in guards.iter_mut().filter(|guard| guard.term < claim.term) {
            (guard.term, guard.nonce) = (claim.term, claim.nonce);
        }
        Ok(*guards)
    }

    fn insert_details(&mut self, rows: &[DetailsRow]) -> Result<(), ErrorsFault> {
        let mut tables = locked(&self.0);
        for (fingerprint, details) in rows {
            tables.details.entry(*fingerprint).or_insert_with(|| details.clone());
        }
        Ok(())
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        let mut tables = locked(&self.0);
        let guards = tables.guards.entry(claim.shard).or_insert_with(empty);
        let stands = range.parts.iter().all(|step| {
            let guard = &guards[step.part.index()];
            (guard.term, guard.nonce, guard.epoch) == (claim.term, claim.nonce, range.after)
        });
        if !stands {
            return Ok(Applied::GuardMoved);
        }
        for step in range.parts {
            let guard = &mut guards[step.part.index()];
            (guard.epoch, guard.seq) = (range.upto, range.seq);
            guard.events += step.events;
        }
        for row in range.rows {
            let count = tables.counts.entry(row.fingerprint);
            count.and_modify(|tally| tally.fold(&row.tally)).or_insert(row.tally);
            *tables.windows.entry((row.window, row.fingerprint)).or_default() += row.tally.count;
        }
        Ok(Applied::Done)
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        Ok(MemoryErrors::guards(self, shard))
    }

    /// Nothing is ever refused as data here.
    fn dead_letters(&mut self, _: Shard) -> Result<DeadLetters, ErrorsFault> {
        Ok(DeadLetters::default())
    }
}

impl ErrorsReader for MemoryErrors {
    fn read(&mut self, shard: Shard, fingerprint: &Fingerprint) -> Result<ErrorRow, ErrorsFault> {
        let tables = locked(&self.0);
        let tally = tables.counts.get(fingerprint);
        let details = tables.details.get(fingerprint);
        let guards = tables.guards.get(&shard).copied().unwrap_or_else(empty);
        Ok(ErrorRow {
            details: details.map(|details| (details.rule, details.payload.clone())),
            count: tally.map_or(0, |tally| tally.count),
            first_seen: tally.map(|tally| tally.first),
            last_seen: tally.map(|tally| tally.last),
            epoch: guards[fingerprint.part().index()].epoch,
        })
    }
}
