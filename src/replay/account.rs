//! What a replay has come to, for people and machines.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use errsift_ops::recorded::seen::{Reject, Seen};

/// Positions kept of one reason.
const POSITIONS_MAX: usize = 3;
/// Reasons told apart.
const REASONS_MAX: usize = 64;
/// Under which all others are counted.
const OTHERS: &str = "other reasons";

/// Records of one reason that were not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// How many.
    pub records: u64,
    /// The first few: which log, and where in it.
    pub first: Vec<(usize, u64)>,
}

/// Sums over all logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// What became of records.
    pub seen: Seen,
    /// Bytes folded, decompressed.
    pub bytes: u64,
    /// Records that were not counted.
    pub rejected: u64,
    /// Why.
    pub reasons: BTreeMap<String, Reason>,
    /// Logs of which something was taken.
    pub logs: u64,
    /// Logs of which nothing was left to take.
    pub logs_done_before: u64,
}

/// Sums while they grow.
#[derive(Debug, Default)]
pub struct Account(Mutex<Sums>);

impl Account {
    /// Changes the sums.
    pub fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    /// Adds a chunk's.
    pub fn add(&mut self, log: usize, bytes: u64, seen: &Seen, rejects: &[Reject]) {
        self.bytes += bytes;
        self.seen.add(seen);
        for reject in rejects {
            self.rejected += 1;
            let known = self.reasons.contains_key(&reject.reason);
            let has_room = known || self.reasons.len() < REASONS_MAX;
            let name = if has_room { &reject.reason } else { OTHERS };
            let reason = match self.reasons.get_mut(name) {
                Some(reason) => reason,
                None => self.reasons.entry(name.to_owned()).or_default(),
            };
            reason.records += 1;
            reason.first.push((log, reject.at));
            // workers are not in step: the first to come need not be the first
            reason.first.sort_unstable();
            reason.first.truncate(POSITIONS_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_positions_are_kept_whoever_comes_first() {
        let reject =
            |at, reason: &str| Reject { at, reason: reason.to_owned(), record: Vec::new() };
        let mut sums = Sums::default();
        let late: Vec<_> = [50, 40, 30].map(|at| reject(at, "a")).to_vec();
        sums.add(0, 10, &Seen::default(), &late);
        sums.add(0, 10, &Seen::default(), &[reject(7, "a"), reject(9, "b")]);
        assert_eq!(sums.reasons["a"].first, [(0, 7), (0, 30), (0, 40)]);
        assert_eq!((sums.reasons["a"].records, sums.rejected, sums.bytes), (4, 5, 20));
        let many: Vec<_> = (0..100).map(|n| reject(n, &format!("r{n}"))).collect();
        sums.add(0, 0, &Seen::default(), &many);
        assert_eq!(sums.reasons.len(), REASONS_MAX + 1);
    }
}
