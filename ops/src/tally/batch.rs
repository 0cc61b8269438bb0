//! Batches among the events of a flight.

use super::Forming;
use crate::{
    batch::{Batch, Folded},
    fingerprint::Fingerprint,
    flight::Entry,
    tally::Tally,
    window::Window,
};

impl<W> Forming<W> {
    /// Folds a batch in, as if its events had come one by one.
    pub(super) fn fold_batch(
        &mut self,
        Batch { folded, waiter }: Batch<W>,
        wanted: &mut impl FnMut(&Fingerprint) -> bool,
    ) {
        let events = folded.events();
        let mut repeated = folded.left_out;
        for entry in &folded.entries {
            self.fold_counted(&folded, entry.error, entry.window, &entry.tally, wanted);
        }
        for event in &folded.identified {
            if self.ids.insert(event.id) {
                self.tallied.ids.push(event.id);
                let (window, tally) = (Window::of(event.at), Tally::one(event.at));
                self.fold_counted(&folded, event.error, window, &tally, wanted);
            } else {
                repeated += 1;
            }
        }
        folded.repeats.add(repeated);
        let tallied = &mut self.tallied;
        tallied.repeated += repeated;
        tallied.clamped += folded.clamped;
        tallied.received_min = tallied.received_min.min(folded.received);
        tallied.received_max = tallied.received_max.max(folded.received);
        tallied.batched += events - 1;
        tallied.waiters.push(waiter);
    }

    fn fold_counted(
        &mut self,
        folded: &Folded,
        error: u32,
        window: Window,
        tally: &Tally,
        wanted: &mut impl FnMut(&Fingerprint) -> bool,
    ) {
        let fingerprint = folded.errors[error as usize].fingerprint;
        if let Some(position) = self.positions.get(&(fingerprint, window)) {
            self.tallied.entries[*position].tally.fold(tally);
            return;
        }
        self.positions.insert((fingerprint, window), self.tallied.entries.len());
        let first = self.detailed.insert(fingerprint);
        let details = if first && wanted(&fingerprint) { folded.details(error) } else { None };
        self.tallied.entries.push(Entry { fingerprint, window, tally: *tally, details });
    }
}
