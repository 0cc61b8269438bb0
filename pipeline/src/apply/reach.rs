//! Which flights apply has been given, and which it must take from the journal.
//!
//! A merged job stands for several flights. Apply must get all of them, or none, before it meets
//! that job: flights that wait in memory as well are left there, once their jobs are to be merged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use errsift_ops::id::Seq;

/// Shared by the feeder, which gives flights to apply, and the keeper, which merges their jobs.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    /// The last flight that was given.
    given: Seq,
    /// Flights up to here that are not given yet come from the journal.
    reserved: Seq,
}

impl Reach {
    /// Notes that `seq` is given, as the journal has it.
    pub(crate) fn gave(&self, seq: Seq) {
        let mut standing = self.lock();
        standing.given = standing.given.max(seq);
    }

    /// Whether `seq` may be given as memory has it; notes that it is.
    pub(crate) fn give_live(&self, seq: Seq) -> bool {
        let mut standing = self.lock();
        if seq <= standing.reserved {
            return false;
        }
        standing.given = standing.given.max(seq);
        true
    }

    /// The last flight that was given.
    pub(crate) fn given(&self) -> Seq {
        self.lock().given
    }

    /// Has the flights from `first` to `last` come from the journal, if none of them is given yet.
    pub(crate) fn reserve(&self, first: Seq, last: Seq) -> bool {
        let mut standing = self.lock();
        if standing.given >= first {
            return false;
        }
        standing.reserved = standing.reserved.max(last);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_does_not_come_from_memory() {
        let reach = Reach::default();
        assert!(reach.give_live(Seq(1)));
        assert!(!reach.reserve(Seq(1), Seq(4)), "the first is given already");
        assert!(reach.reserve(Seq(2), Seq(4)));
        assert!(!reach.give_live(Seq(2)));
        reach.gave(Seq(4));
        assert!(reach.give_live(Seq(5)));
        assert_eq!(reach.given(), Seq(5));
    }
}
