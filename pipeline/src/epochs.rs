//! When epochs open and close, and which are on their way to the tables.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use errsift_ops::{
    id::{Epoch, Seq},
    timestamp::Timestamp,
};

/// Chooses the epoch of each flight.
#[derive(Debug)]
pub(crate) struct EpochClock {
    last: Epoch,
    open: Option<Open>,
    interval: Duration,
}

#[derive(Debug)]
struct Open {
    epoch: Epoch,
    since: Duration,
    last: Option<Seq>,
}

impl EpochClock {
    /// A clock on which the next epoch comes after `last`.
    pub(crate) fn new(last: Epoch, interval: Duration) -> Self {
        Self { last, open: None, interval }
    }

    /// The epoch for a flight that is sealed now; opens one if none is open.
    pub(crate) fn current(&mut self, now: Duration, wall: Timestamp) -> Epoch {
        if let Some(open) = &self.open {
            return open.epoch;
        }
        let epoch = Epoch::open(self.last, wall);
        self.last = epoch;
        self.open = Some(Open { epoch, since: now, last: None });
        epoch
    }

    /// Notes that the flight `seq` of the open epoch was executed.
    pub(crate) fn executed(&mut self, seq: Seq) {
        if let Some(open) = &mut self.open {
            open.last = Some(seq);
        }
    }

    /// Closes the open epoch if its time is up or `at_once`; says which it was and its last
    /// flight. To be called while no flight is out.
    pub(crate) fn close(&mut self, now: Duration, at_once: bool) -> Option<(Epoch, Seq)> {
        let up = self.open.as_ref().is_some_and(|open| now >= open.since + self.interval);
        if !up && !at_once {
            return None;
        }
        let open = self.open.take()?;
        open.last.map(|seq| (open.epoch, seq))
    }

    /// When the open epoch's time is up.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.since + self.interval)
    }
}

/// The epochs that have reached apply and are not trimmed yet, each with its last flight.
#[derive(Debug, Default)]
pub struct OpenEpochs(Mutex<BTreeMap<Epoch, Seq>>);

impl OpenEpochs {
    /// Notes that the flight `seq` belongs to `epoch`. Flights come in order.
    pub(crate) fn note(&self, epoch: Epoch, seq: Seq) {
        self.lock().insert(epoch, seq);
    }

    /// Those after `after` that are before `before`, or all after it, in order.
    pub(crate) fn between(&self, after: Epoch, before: Option<Epoch>) -> Vec<(Epoch, Seq)> {
        let open = self.lock();
        open.iter()
            .filter(|(epoch, _)| **epoch > after && before.is_none_or(|before| **epoch < before))
            .map(|(epoch, seq)| (*epoch, *seq))
            .collect()
    }

    /// Forgets all up to and including `upto`.
    pub(crate) fn forget(&self, upto: Epoch) {
        self.lock().retain(|epoch, _| *epoch > upto);
    }

    /// All of them, in order.
    pub fn all(&self) -> Vec<Epoch> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Epoch, Seq>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_stays_open_for_its_interval() {
        let wall = Timestamp::from_millis(100_000);
        let seconds = Duration::from_secs;
        let mut clock = EpochClock::new(Epoch(0), seconds(30));
        assert_eq!(clock.close(seconds(99), true), None);
        assert_eq!(clock.current(seconds(1), wall), Epoch(100));
        clock.executed(Seq(1));
        assert_eq!(clock.current(seconds(29), wall), Epoch(100));
        clock.executed(Seq(2));
        assert_eq!(clock.close(seconds(30), false), None);
        assert_eq!(clock.close(seconds(31), false), Some((Epoch(100), Seq(2))));
        // the clock stood still: numbers grow all the same
        assert_eq!(clock.current(seconds(31), wall), Epoch(101));
    }

    #[test]
    fn an_epoch_without_an_executed_flight_closes_silently() {
        let mut clock = EpochClock::new(Epoch(5), Duration::ZERO);
        clock.current(Duration::ZERO, Timestamp::default());
        assert_eq!(clock.close(Duration::ZERO, true), None);
        assert_eq!(clock.current(Duration::ZERO, Timestamp::default()), Epoch(7));
    }
}
