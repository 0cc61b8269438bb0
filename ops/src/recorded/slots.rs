//! Tallies of the errors that were met, between two times that they are sent on.

use rustc_hash::FxHashMap;

use crate::{
    fingerprint::Fingerprint, flight::Entry, tally::Tally, timestamp::Timestamp, window::Window,
};

/// One error, with the tally of the window that it was last met in.
struct Slot {
    fingerprint: Fingerprint,
    window: Window,
    /// Nothing, if its count is 0.
    tally: Tally,
}

const NOTHING: Tally =
    Tally { count: 0, first: Timestamp::from_millis(0), last: Timestamp::from_millis(0) };

/// Errors by their fingerprints, or by their positions, which stay.
#[derive(Default)]
pub(super) struct Slots {
    met: Vec<Slot>,
    positions: FxHashMap<Fingerprint, usize>,
    /// Tallies of windows other than the one in the slot.
    others: FxHashMap<(usize, Window), Tally>,
}

impl Slots {
    /// Where an error is that was met.
    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<usize> {
        self.positions.get(fingerprint).copied()
    }

    /// Makes room for an error that was not met, of which nothing is counted yet.
    pub(super) fn push(&mut self, fingerprint: Fingerprint, window: Window) -> usize {
        let position = self.met.len();
        self.positions.insert(fingerprint, position);
        self.met.push(Slot { fingerprint, window, tally: NOTHING });
        position
    }

    /// Adds to the tally of the error at a position.
    pub(super) fn add(&mut self, position: usize, window: Window, tally: &Tally) {
        let slot = &mut self.met[position];
        if slot.window != window && slot.tally.count > 0 {
            let other = self.others.entry((position, slot.window)).or_insert(NOTHING);
            other.fold(&slot.tally);
            slot.tally = NOTHING;
        }
        slot.window = window;
        slot.tally.fold(tally);
    }

    /// All tallies since the last time, without words. A window of an error may come twice.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        let entry =
            |fingerprint, window, tally| Entry { fingerprint, window, tally, details: None };
        let Self { met: slots, others, .. } = self;
        let mut entries = Vec::with_capacity(others.len());
        for ((position, window), tally) in others.drain() {
            entries.push(entry(slots[position].fingerprint, window, tally));
        }
        let open = slots.iter_mut().filter(|slot| slot.tally.count > 0);
        let open = open.map(move |slot| {
            entry(slot.fingerprint, slot.window, std::mem::replace(&mut slot.tally, NOTHING))
        });
        entries.into_iter().chain(open)
    }

    /// Errors met so far.
    pub(super) fn len(&self) -> usize {
        self.met.len()
    }
}
