//! What becomes of records.

use super::fold::RECORD_BYTES_MAX;
use crate::{flight::Entry, tally::Tally, timestamp::Timestamp};

/// A record that is not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it starts, in bytes from the start of the decompressed log.
    pub at: u64,
    /// Why.
    pub reason: String,
    /// The record.
    pub record: Vec<u8>,
}

impl Reject {
    pub(super) fn new(at: u64, reason: String, record: &[u8]) -> Self {
        let kept = &record[..record.len().min(RECORD_BYTES_MAX)];
        Self { at, reason, record: kept.to_vec() }
    }
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Counted.
    pub events: u64,
    /// Left out because of their level.
    pub below_level: u64,
    /// Counted although their level is not known, when levels matter.
    pub unknown_level: u64,
    /// Counted with a time that was brought back from the future.
    pub clamped: u64,
    /// Time of the earliest that was counted.
    pub first: Option<Timestamp>,
    /// Time of the latest that was counted.
    pub last: Option<Timestamp>,
}

impl Seen {
    /// Adds what another has seen.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.below_level += other.below_level;
        self.unknown_level += other.unknown_level;
        self.clamped += other.clamped;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
    }

    pub(super) fn count(&mut self, at: Timestamp, clamped: bool) {
        self.clamped += u64::from(clamped);
        self.add_tally(&Tally::one(at));
    }

    pub(super) fn add_tally(&mut self, tally: &Tally) {
        self.events += tally.count;
        self.first = Some(self.first.map_or(tally.first, |first| first.min(tally.first)));
        self.last = self.last.max(Some(tally.last));
    }
}

/// What a chunk has come to, besides the tallies that stay with [`Fold`].
#[derive(Debug, Default)]
pub struct Folded {
    /// Errors that this fold had not met: their first event, with its words, if it has any.
    pub first: Vec<Entry>,
    /// What is not counted.
    pub rejects: Vec<Reject>,
    /// What became of the records.
    pub seen: Seen,
}
