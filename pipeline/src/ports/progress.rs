//! How far a store has come, and what that means for who takes a shard.

use errsift_ops::id::{Epoch, Nonce, Seq, Term};

use super::journal::{Fence, JournalFault};

/// Terms, seqs and epochs are below this: up to here every store counts exactly, scripts in
/// floating point too.
pub const NUMBER_MAX: u64 = 1 << 53;

/// How far a store has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Last writer's generation.
    pub term: Term,
    /// Last flight.
    pub seq: Seq,
    /// Last epoch.
    pub epoch: Epoch,
    /// The last epoch that every part has.
    pub applied: Epoch,
    /// Events ever applied, set aside or dropped, of all parts.
    pub events: u64,
    /// Events among these that the journal lacks on the ledger's left side.
    pub foreign: Foreign,
}

/// Events that the tables have counted and that the journal does not know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The fence when that was found: of a journal that stands elsewhere, nothing is known. It may
    /// have been given back what it lacked.
    pub found: Fence,
    /// How many.
    pub events: u64,
}

impl Foreign {
    /// The events, if `before` is the fence that was looked at. Taking the shard once more after an
    /// answer was lost must not add them twice.
    fn of(&self, before: &Fence) -> u64 {
        if *before == self.found { self.events } else { 0 }
    }
}

impl Progress {
    /// Whether a journal whose fence is `before` is behind, and holds nothing that a part needs.
    pub fn leaves_behind(&self, before: &Fence) -> bool {
        before.seq < self.seq && before.epoch <= self.applied
    }

    /// The fence that takes the shard from `before`. Of a journal that is left behind, seq and the
    /// ledger's left side go on from the tables; what is foreign to any other is added to that side.
    ///
    /// Numbers that no journal can have come to are refused: they would not be counted on exactly.
    pub fn taken(&self, before: &Fence, nonce: Nonce) -> Result<Fence, JournalFault> {
        let behind = self.leaves_behind(before);
        let (seq, events) =
            if behind { (self.seq, self.events) } else { (before.seq, before.events) };
        let events = if behind { events } else { events + self.foreign.of(before) };
        let last = before.term.max(self.term);
        let epoch = before.epoch.max(self.epoch);
        for (name, number) in [("term", last.0), ("seq", seq.0), ("epoch", epoch.0)] {
            if number >= NUMBER_MAX {
                return Err(JournalFault::new(format!(
                    "the shard stands at {name} {number}, which errsift has not written: restore \
                     the fence, or choose another --shard"
                )));
            }
        }
        Ok(Fence { term: Term(last.0 + 1), nonce, seq, epoch, events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_foreign_to_a_journal_is_added_once() {
        let before =
            Fence { term: Term(7), seq: Seq(4), epoch: Epoch(9), events: 6, ..Fence::default() };
        let foreign = Foreign { found: before, events: 13 };
        let tables =
            Progress { term: Term(2), seq: Seq(3), events: 13, foreign, ..Progress::default() };
        let taken = tables.taken(&before, Nonce(1)).unwrap();
        assert_eq!((taken.term, taken.seq, taken.events), (Term(8), Seq(4), 19));
        // the answer was lost, and it is asked for again
        assert_eq!(tables.taken(&taken, Nonce(1)).unwrap().events, 19);
        // it has been given back what it lacked
        let healed = Fence { seq: Seq(5), events: 19, ..before };
        assert_eq!(tables.taken(&healed, Nonce(1)).unwrap().events, 19);
        // of a journal that is left behind, the tables say all
        let behind = Progress { seq: Seq(5), applied: Epoch(9), ..tables };
        assert_eq!(behind.taken(&before, Nonce(1)).unwrap().events, 13);
    }
}
