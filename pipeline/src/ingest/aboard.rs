//! Batches on their way into the flight that forms.

use std::time::Duration;

use errsift_ops::batch::Batch;
use timely::{
    container::CapacityContainerBuilder,
    dataflow::operators::{ActivateCapability, core::UnorderedHandle},
};

use super::worker::Forming;
use crate::{
    ack::Waiter,
    batches::Boarding,
    histogram::Batch as Waits,
    settings::{FLIGHT_BYTES_MAX, FLIGHT_EVENTS_MAX},
};

/// What the worker has for batches beside what it has for single events.
pub(crate) struct Aboard<W: Waiter> {
    pub(crate) boarding: Boarding<W>,
    pub(crate) input: UnorderedHandle<u64, CapacityContainerBuilder<Vec<Batch<W>>>>,
    /// The time of the forming flight, held open.
    pub(crate) time: ActivateCapability<u64>,
    /// Whether they go before single events. That takes turns by flight, so that neither leaves no
    /// room for the other for ever.
    pub(crate) first: bool,
    arrived: Vec<Batch<W>>,
}

impl<W: Waiter> Aboard<W> {
    pub(crate) fn new(
        boarding: Boarding<W>,
        input: UnorderedHandle<u64, CapacityContainerBuilder<Vec<Batch<W>>>>,
        time: ActivateCapability<u64>,
    ) -> Self {
        Self { boarding, input, time, first: false, arrived: Vec::new() }
    }

    /// Moves what has arrived, and what there is room for, into the forming flight; returns whether
    /// no more will come.
    pub(crate) fn fill(&mut self, forming: &mut Forming, now: Duration, waits: &mut Waits) -> bool {
        let admit = |events, bytes| admit(forming, events, bytes, now);
        self.boarding.fill(&mut self.arrived, now, waits, admit)
    }

    /// Sends on what was moved; how many events that is.
    pub(crate) fn send(&mut self) -> u64 {
        if self.arrived.is_empty() {
            return 0;
        }
        let events = self.arrived.iter().map(|batch| batch.folded.events()).sum();
        self.input.activate().session(&self.time).give_iterator(self.arrived.drain(..));
        events
    }

    /// Lets the forming flight go; the one of the time `next` forms.
    pub(crate) fn let_go(&mut self, next: u64) {
        self.time.downgrade(&next);
        self.first = !self.first;
    }
}

/// Whether a batch of so many events and bytes goes with the flight that forms; then it has them.
fn admit(forming: &mut Forming, events: u64, bytes: usize, now: Duration) -> bool {
    let with = usize::try_from(events).map_or(usize::MAX, |events| forming.events + events);
    let has_room = with <= FLIGHT_EVENTS_MAX && forming.bytes + bytes <= FLIGHT_BYTES_MAX;
    if forming.events > 0 && !has_room {
        // it goes with the next one, and so does all behind it
        forming.closed = true;
        return false;
    }
    if forming.events == 0 {
        forming.since = now;
    }
    forming.events = with;
    forming.bytes += bytes;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_whole_or_with_the_next() {
        let mut forming = Forming::default();
        let now = Duration::from_secs(1);
        assert!(admit(&mut forming, 1_000_000, 0, now), "nothing else is in the way");
        assert!(!admit(&mut forming, 1, 0, now));
        let mut forming = Forming::default();
        assert!(admit(&mut forming, 16_000, FLIGHT_BYTES_MAX - 1, now));
        assert!(!forming.closed);
        assert!(!admit(&mut forming, 1, 2, now));
        assert!(forming.closed && forming.events == 16_000);
        let mut forming = Forming::default();
        assert!(admit(&mut forming, 16_000, 1, now) && admit(&mut forming, 384, 1, now));
        assert!(!admit(&mut forming, 1, 1, now));
    }
}
