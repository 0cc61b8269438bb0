//! Tables in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use errsift_ops::{
    fingerprint::Fingerprint,
    flight::Details,
    id::{Epoch, Shard},
    tally::Tally,
    window::Window,
};

use super::locked;
use crate::ports::errors::{
    Added, Applied, Claim, DeadLetters, DetailsRow, ErrorRow, Errors, ErrorsFault, ErrorsReader,
    ErrorsWriter, Guards, Range, Settled,
};

/// Tables in memory; clones and handles share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryErrors(Arc<Mutex<Tables>>);

#[derive(Clone, Debug, Default)]
struct Tables {
    guards: BTreeMap<Shard, Guards>,
    details: BTreeMap<Fingerprint, Arc<Details>>,
    counts: BTreeMap<Fingerprint, Tally>,
    windows: BTreeMap<(Window, Fingerprint), u64>,
    refused: BTreeSet<Fingerprint>,
    dead_counts: BTreeMap<(Shard, Epoch, Fingerprint, Window), Tally>,
    dead_details: BTreeMap<(Shard, Fingerprint), Arc<Details>>,
}

impl Tables {
    fn settled(&self, shard: Shard) -> Settled {
        let counts = self.dead_counts.iter().filter(|((of, ..), _)| *of == shard);
        let mut dead = DeadLetters::default();
        for (_, tally) in counts {
            dead.add(DeadLetters { rows: 1, events: tally.count });
        }
        dead.rows += self.dead_details.keys().filter(|(of, _)| *of == shard).count() as u64;
        let guards = self.guards.get(&shard).copied().unwrap_or_else(empty);
        Settled { guards, dead }
    }
}

impl MemoryErrors {
    /// A copy that goes its own way from here on, as a backup does.
    #[must_use]
    pub fn backup(&self) -> Self {
        Self(Arc::new(Mutex::new(locked(&self.0).clone())))
    }

    /// Forgets everything since `backup` was made, under the feet of whoever uses it.
    pub fn restore(&self, backup: &Self) {
        let tables = locked(&backup.0).clone();
        *locked(&self.0) = tables;
    }

    /// Refuses all rows of `fingerprint` as data from now on.
    pub fn refuse(&self, fingerprint: Fingerprint) {
        locked(&self.0).refused.insert(fingerprint);
    }

    /// Events of each fingerprint that were set aside.
    pub fn dead(&self) -> BTreeMap<Fingerprint, u64> {
        let mut dead = BTreeMap::new();
        for ((_, _, fingerprint, _), tally) in &locked(&self.0).dead_counts {
            *dead.entry(*fingerprint).or_default() += tally.count;
        }
        dead
    }

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

    fn insert_details(
        &mut self,
        shard: Shard,
        rows: &[DetailsRow],
    ) -> Result<DeadLetters, ErrorsFault> {
        let mut tables = locked(&self.0);
        let mut dead = DeadLetters::default();
        for (fingerprint, details) in rows {
            if tables.refused.contains(fingerprint) {
                tables.dead_details.insert((shard, *fingerprint), details.clone());
                dead.rows += 1;
            } else {
                tables.details.entry(*fingerprint).or_insert_with(|| details.clone());
            }
        }
        Ok(dead)
    }

    fn apply(&mut self, claim: &Claim, range: &Range<'_>) -> Result<Applied, ErrorsFault> {
        if !range.words.wait() {
            return Ok(Applied::WordsLate);
        }
        let mut tables = locked(&self.0);
        let tables = &mut *tables;
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
        let (mut dead, before) = (DeadLetters::default(), tables.counts.len());
        for row in range.rows {
            if tables.refused.contains(&row.fingerprint) {
                let events = row.tally.count;
                guards[row.fingerprint.part().index()].events -= events;
                dead.add(DeadLetters { rows: 1, events });
                let key = (claim.shard, range.upto, row.fingerprint, row.window);
                tables.dead_counts.insert(key, row.tally);
                continue;
            }
            let count = tables.counts.entry(row.fingerprint);
            count.and_modify(|tally| tally.fold(&row.tally)).or_insert(row.tally);
            *tables.windows.entry((row.window, row.fingerprint)).or_default() += row.tally.count;
        }
        let new_errors = (tables.counts.len() - before) as u64;
        Ok(Applied::Done(Added { new_errors, dead }))
    }

    fn guards(&mut self, shard: Shard) -> Result<Guards, ErrorsFault> {
        Ok(MemoryErrors::guards(self, shard))
    }

    fn settled(&mut self, shard: Shard) -> Result<Settled, ErrorsFault> {
        Ok(locked(&self.0).settled(shard))
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
