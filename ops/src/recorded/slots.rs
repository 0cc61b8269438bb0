//! Tallies of the errors that were met, between two times that they are sent on.

use std::{iter, mem};

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

    /// All tallies since the last time, without words, each window of an error once. The last key comes
    /// first: whoever merges what comes with what came before then copies the lesser of the two.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> + use<> {
        for (position, slot) in self.met.iter_mut().enumerate() {
            if slot.tally.count > 0 {
                let tally = mem::replace(&mut slot.tally, NOTHING);
                self.others.push((position, slot.window, tally));
            }
        }
        self.merge();
        self.merged = 0;
        let all = mem::take(&mut self.others);
        let mut errors = Vec::new();
        let mut start = 0;
        for windows in all.chunk_by(|(a, ..), (b, ..)| a == b) {
            let span = start..start + windows.len();
            start = span.end;
            errors.push((self.fingerprints[windows[0].0], span));
        }
        errors.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        let spans = errors
            .into_iter()
            .flat_map(|(fingerprint, span)| iter::repeat(fingerprint).zip(span.rev()));
        spans.map(move |(fingerprint, at)| {
            let (_, window, tally) = all[at];
            Entry { fingerprint, window, tally, details: None }
        })
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
        let counts: Vec<_> = slots.drain().map(|entry| entry.tally.count).collect();
        assert_eq!(counts, [events / 3; 3]);
        assert_eq!(slots.drain().count(), 0);
    }

    #[test]
    fn the_last_key_comes_first() {
        let mut slots = Slots::default();
        let mut keys = Vec::new();
        for byte in [4, 1, 9] {
            let fingerprint = Fingerprint([byte; 32]);
            let position = slots.push(fingerprint, Window::of(Timestamp::from_millis(0)));
            for seconds in [60, 0, 30] {
                let at = Timestamp::from_millis(seconds * 1000);
                slots.add(position, Window::of(at), &Tally::one(at));
                keys.push((fingerprint, Window::of(at)));
            }
        }
        keys.sort_unstable();
        keys.reverse();
        let drained = slots.drain().map(|entry| (entry.fingerprint, entry.window));
        assert_eq!(drained.collect::<Vec<_>>(), keys);
    }
}
