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
        let wanted = wanted(&fingerprint) && self.detailed.insert(fingerprint);
        let details = if wanted { folded.details(error) } else { None };
        self.tallied.entries.push(Entry { fingerprint, window, tally: *tally, details });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        batch::{Fold, Item},
        body,
        timestamp::Timestamp,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const EVENTS: [&str; 5] = [
        r#"{"message":"a"}"#,
        r#"{"message":"a","eventId":"00000000000000000000000000000001"}"#,
        r#"{"message":"b","eventId":"00000000000000000000000000000001"}"#,
        r#"{"message":"b","timestamp":1800000000}"#,
        r#"{"message":"\u0061","timestamp":1600000000}"#,
    ];

    #[test]
    fn a_batch_counts_as_its_events_and_waits_as_one() {
        let mut singly = Forming::new();
        let mut fold = Fold::new(NOW, None);
        for text in EVENTS {
            let event = body::read(text.as_bytes(), NOW).unwrap();
            singly.fold(Fingerprint::of(&event), event.into(), "single", |_: &Fingerprint| true);
            fold.take(Item::Text(text.as_bytes())).unwrap();
        }
        let folded = Box::new(fold.finish());
        let repeats = folded.repeats.clone();
        let mut at_once = Forming::new();
        at_once.fold_batch(Batch { folded, waiter: "batch" }, &mut |_| true);
        let sorted = |forming: &Forming<&str>| {
            let mut entries = forming.tallied.entries.clone();
            entries.sort();
            entries
        };
        assert_eq!(sorted(&at_once), sorted(&singly));
        let (one, all) = (at_once.tallied, singly.tallied);
        assert_eq!((one.ids, one.repeated, one.clamped), (all.ids, all.repeated, all.clamped));
        assert_eq!((one.waiters, one.batched, repeats.get()), (vec!["batch"], 4, 1));
        assert_eq!((all.waiters.len(), all.batched), (5, 0));
    }
}
