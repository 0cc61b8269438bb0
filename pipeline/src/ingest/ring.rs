//! The flights executed last, so that a journal that comes back without them gets them again: the
//! same numbers, the same bytes.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use errsift_ops::id::Seq;

use crate::ports::{
    heal::{Heal, Recent},
    journal::Fence,
};

/// How long a flight is kept: a Redis that syncs every second, and a replica that lags, lose less.
pub(crate) const RING_AGE: Duration = Duration::from_secs(15);
/// What all kept flights may take in memory; the oldest go first.
pub(crate) const RING_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug)]
struct Kept {
    at: Duration,
    recent: Recent,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.recent.job.len() + size_of::<Self>()
    }
}

/// Recently executed flights without a gap, oldest first. It ages only as flights are added: while
/// the journal is away nothing is forgotten.
#[derive(Debug)]
pub(crate) struct Ring {
    /// The fence with which the shard was taken, and the one before that, which may say less of
    /// events and of the seq.
    taken: Fence,
    before: Fence,
    /// The fence before the first flight that is kept.
    origin: Fence,
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Ring {
    /// An empty ring of a shard that was `taken` with this fence, when it was as `before`.
    pub(crate) fn new(taken: Fence, before: Fence) -> Self {
        Self { taken, before, origin: taken, kept: VecDeque::new(), bytes: 0 }
    }

    /// Adds the flight executed at `now`, by the monotonic clock; its bytes are shared.
    pub(crate) fn push(&mut self, after: Fence, job: Bytes, now: Duration) {
        let kept = Kept { at: now, recent: Recent { after, job } };
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self
            .kept
            .front()
            .is_some_and(|oldest| oldest.at + RING_AGE < now || self.bytes > RING_BYTES_MAX)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes -= oldest.bytes();
            self.origin = oldest.recent.after;
        }
    }

    /// How to bring a journal from `found` back to `expected`, if it went back and can be: the list
    /// goes on where it is if the ring reaches back so far, and else is replaced, if every part has
    /// all up to `applied` and the ring has the rest.
    pub(crate) fn heal(&self, expected: &Fence, found: Fence, applied: Seq) -> Option<Heal> {
        let last = self.kept.back().map_or(&self.origin, |kept| &kept.recent.after);
        if last != expected || !self.is_past(expected, &found) {
            return None;
        }
        let (from, base) = if found.seq >= self.origin.seq {
            (found.seq.next(), None)
        } else {
            let applied = applied.min(expected.seq);
            (applied.next(), Some(applied.next()))
        };
        if from <= self.origin.seq {
            return None;
        }
        let known = usize::try_from(from.0 - self.origin.seq.next().0).unwrap_or(usize::MAX);
        let jobs = self.kept.iter().skip(known).map(|kept| kept.recent.clone()).collect();
        Some(Heal { found, after: *expected, base, jobs })
    }

    /// Whether the journal once stood at `found`, as far as is known. Terms only grow, so a lower
    /// one is from before this writer; but what goes beyond the flight this writer began with was
    /// written since, by somebody who should not.
    fn is_past(&self, expected: &Fence, found: &Fence) -> bool {
        if !expected.went_back(found) {
            return false;
        }
        if !found.same_writer(expected) {
            let began = found.seq == self.taken.seq && found.events == self.taken.events;
            return found.seq < self.taken.seq || began || *found == self.before;
        }
        let passed = || self.kept.iter().any(|kept| kept.recent.after == *found);
        found.seq < self.origin.seq || *found == self.origin || passed()
    }
}

#[cfg(test)]
mod tests {
    use errsift_ops::id::{Epoch, Nonce, Term};

    use super::*;

    const TAKEN: Fence =
        Fence { term: Term(3), nonce: Nonce(9), seq: Seq(10), epoch: Epoch(50), events: 100 };
    /// Taking it has added to the events what only the tables had.
    const BEFORE: Fence = Fence { term: Term(2), nonce: Nonce(7), events: 60, ..TAKEN };
    const SECOND: Duration = Duration::from_secs(1);

    fn at(seq: u64) -> Fence {
        Fence { seq: Seq(seq), events: 90 + seq, ..TAKEN }
    }

    /// Flights 11 up to and including `last`, one a second.
    fn ring(last: u32) -> Ring {
        let mut ring = Ring::new(TAKEN, BEFORE);
        for seq in 11..=last {
            ring.push(at(seq.into()), Bytes::from(vec![0; 10]), SECOND * seq);
        }
        ring
    }

    /// Base and numbers given back.
    fn healed(ring: &Ring, found: Fence, applied: u64) -> Option<(Option<u64>, Vec<u64>)> {
        let last = ring.kept.back().map_or(ring.origin, |kept| kept.recent.after);
        let heal = ring.heal(&last, found, Seq(applied))?;
        assert_eq!((heal.found, heal.after), (found, last));
        let numbers = heal.jobs.iter().map(|recent| recent.after.seq.0).collect();
        Some((heal.base.map(|base| base.0), numbers))
    }

    #[test]
    fn the_list_goes_on_where_the_journal_stands() {
        let ring = ring(14);
        assert_eq!(healed(&ring, at(12), 0), Some((None, vec![13, 14])));
        assert_eq!(healed(&ring, TAKEN, 14), Some((None, vec![11, 12, 13, 14])));
        // where the shard was taken from
        assert_eq!(healed(&ring, BEFORE, 0), Some((None, vec![11, 12, 13, 14])));
        assert_eq!(healed(&Ring::new(TAKEN, BEFORE), BEFORE, 0), Some((None, vec![])));
        // by a take whose answer was lost
        let first = Fence { nonce: Nonce(9), events: TAKEN.events, ..BEFORE };
        assert_eq!(healed(&ring, first, 0), Some((None, vec![11, 12, 13, 14])));
    }

    #[test]
    fn what_every_part_has_is_not_needed_again() {
        let ring = ring(14);
        assert_eq!(healed(&ring, Fence::default(), 9), None);
        assert_eq!(healed(&ring, Fence::default(), 10), Some((Some(11), vec![11, 12, 13, 14])));
        assert_eq!(healed(&ring, Fence::default(), 13), Some((Some(14), vec![14])));
        assert_eq!(healed(&ring, Fence::default(), 14), Some((Some(15), vec![])));
    }

    #[test]
    fn what_this_writer_never_saw_is_not_written_over() {
        let ring = ring(14);
        assert_eq!(healed(&ring, Fence { term: Term(4), ..at(12) }, 14), None);
        assert_eq!(healed(&ring, Fence { events: 1, ..at(12) }, 14), None);
        assert_eq!(healed(&ring, Fence { term: Term(2), ..at(12) }, 14), None);
        assert_eq!(healed(&ring, at(15), 14), None);
        assert!(ring.heal(&at(13), at(12), Seq(14)).is_none(), "not where this ring ends");
    }

    #[test]
    fn old_flights_are_forgotten() {
        let ring = ring(40);
        assert_eq!(ring.kept.len(), 16);
        assert_eq!(healed(&ring, at(24), 0).unwrap().1.len(), 16);
        assert_eq!(healed(&ring, at(23), 23), None);
        assert_eq!(healed(&ring, at(23), 24).unwrap().0, Some(25));
    }

    #[test]
    fn memory_is_bounded() {
        let mut ring = Ring::new(TAKEN, BEFORE);
        for seq in 11..=20 {
            ring.push(at(seq), Bytes::from(vec![0; RING_BYTES_MAX / 4]), SECOND);
        }
        assert!(ring.bytes <= RING_BYTES_MAX && ring.kept.len() == 3);
        assert_eq!(healed(&ring, at(18), 0).unwrap().1, [19, 20]);
        ring.push(at(21), Bytes::from(vec![0; RING_BYTES_MAX]), SECOND);
        assert_eq!((ring.bytes, ring.kept.len()), (0, 0));
        assert_eq!(healed(&ring, at(20), 20), None);
    }
}
