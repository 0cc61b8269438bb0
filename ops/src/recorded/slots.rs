//! Tallies of the errors that were met, between two times that they are sent on.

use rustc_hash::FxHashMap;

use crate::{
    fingerprint::Fingerprint, flight::Entry, tally::Tally, timestamp::Timestamp, window::Window,
};

/// The tally of the window that an error was last met in. Without its fingerprint, so that more of them
/// are at hand.
struct Slot {
    window: Window,
    /// Nothing, if its count is 0.
    tally: Tally,
}

const NOTHING: Tally =
    Tally { count: 0, first: Timestamp::from_millis(0), last: Timestamp::from_millis(0) };

/// Fewer others than these are not merged.
const OTHERS_MIN: usize = 64 * 1024;

/// Errors by their fingerprints, or by their positions, which stay.
#[derive(Default)]
pub(super) struct Slots {
    met: Vec<Slot>,
    fingerprints: Vec<Fingerprint>,
    positions: FxHashMap<Fingerprint, usize>,
    /// Tallies of windows other than the one in the slot. Most logs are in order, and have an error's
    /// window here once.
    others: Vec<(usize, Window, Tally)>,
    /// How many of these were left when they were last merged.
    merged: usize,
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
        self.met.push(Slot { window, tally: NOTHING });
        self.fingerprints.push(fingerprint);
        position
    }

    /// How much is in the tally of the error at a position: once it was looked at, it is at hand.
    pub(super) fn fetch(&self, position: usize) -> u64 {
        self.met[position].tally.count
    }

    /// Adds to the tally of the error at a position.
    pub(super) fn add(&mut self, position: usize, window: Window, tally: &Tally) {
        let slot = &mut self.met[position];
        if slot.window != window && slot.tally.count > 0 {
            self.others.push((position, slot.window, slot.tally));
            slot.tally = NOTHING;
        }
        slot.window = window;
        slot.tally.fold(tally);
        if self.others.len() >= OTHERS_MIN.max(2 * self.merged) {
            self.merge();
        }
    }

    /// Has each window of an error in the others once, so that they do not grow with the events.
    fn merge(&mut self) {
        self.others.sort_unstable_by_key(|(position, window, _)| (*position, *window));
        self.others.dedup_by(|(position, window, tally), (last, of, sum)| {
            let is_same = (*position, *window) == (*last, *of);
            if is_same {
                sum.fold(tally);
            }
            is_same
        });
        self.merged = self.others.len();
    }

    /// All tallies since the last time, without words. A window of an error may come twice.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        let entry =
            |fingerprint, window, tally| Entry { fingerprint, window, tally, details: None };
        self.merge();
        self.merged = 0;
        let Self { met: slots, others, fingerprints, .. } = self;
        let fingerprints = &*fingerprints;
        let passed = others.drain(..);
        let passed = passed
            .map(move |(position, window, tally)| entry(fingerprints[position], window, tally));
        let open = slots.iter_mut().zip(fingerprints).filter(|(slot, _)| slot.tally.count > 0);
        let open = open.map(move |(slot, fingerprint)| {
            entry(*fingerprint, slot.window, std::mem::replace(&mut slot.tally, NOTHING))
        });
        passed.chain(open)
    }

    /// Errors met so far.
    pub(super) fn len(&self) -> usize {
        self.met.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_take_turns_are_merged() {
        let mut slots = Slots::default();
        let position = slots.push(Fingerprint([7; 32]), Window::of(Timestamp::from_millis(0)));
        let events = 3 * OTHERS_MIN as u64;
        for event in 0..events {
            let at = Timestamp::from_millis((event % 3 * 30_000).cast_signed());
            slots.add(position, Window::of(at), &Tally::one(at));
            assert!(slots.others.len() <= OTHERS_MIN);
        }
        let mut entries: Vec<_> = slots.drain().map(|entry| entry.tally.count).collect();
        entries.sort_unstable();
        assert_eq!(entries.iter().sum::<u64>(), events);
        assert!(entries.len() <= 4, "{entries:?}");
        assert_eq!(slots.drain().count(), 0);
    }
}
