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
    bytes_max: usize,
}

#[derive(Debug)]
struct Open {
    epoch: Epoch,
    since: Duration,
    last: Option<Seq>,
    /// Of its jobs.
    bytes: usize,
}

impl EpochClock {
    /// A clock on which the next epoch comes after `last`, and is closed after `interval` or once
    /// its jobs have `bytes_max`.
    pub(crate) fn new(last: Epoch, interval: Duration, bytes_max: usize) -> Self {
        Self { last, open: None, interval, bytes_max }
    }

    /// The epoch for a flight that is sealed now; opens one if none is open.
    pub(crate) fn current(&mut self, now: Duration, wall: Timestamp) -> Epoch {
        if let Some(open) = &self.open {
            return open.epoch;
        }
        let epoch = Epoch::open(self.last, wall);
        self.last = epoch;
        self.open = Some(Open { epoch, since: now, last: None, bytes: 0 });
        epoch
    }

    /// Notes that the flight `seq` of the open epoch, with a job of `job_bytes`, was executed.
    pub(crate) fn executed(&mut self, seq: Seq, job_bytes: usize) {
        if let Some(open) = &mut self.open {
            open.last = Some(seq);
            open.bytes += job_bytes;
        }
    }

    /// Closes the open epoch if its time is up, or it is full, or `at_once`; says which it was and its last
    /// flight. To be called while no flight is out.
    pub(crate) fn close(&mut self, now: Duration, at_once: bool) -> Option<(Epoch, Seq)> {
        let up = self
            .open
            .as_ref()
            .is_some_and(|open| now >= open.since + self.interval || open.bytes >= self.bytes_max);
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

/// The epochs that have reached apply and are not trimmed yet, and what the fence said at their
/// ends.
#[derive(Debug, Default)]
pub struct OpenEpochs(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    /// Each with its last flight and when the server received its first event.
    open: BTreeMap<Epoch, (Seq, Timestamp)>,
    /// The first epoch that is not applied, as far as is known.
    frontier: Epoch,
    /// The fence's events at each epoch's end: what all parts together must have counted then.
    totals: BTreeMap<Epoch, u64>,
}

/// How far apply is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Epochs that have reached apply and are not in the tables.
    pub epochs: usize,
    /// When the server received the first event of the first of them.
    pub since: Option<Timestamp>,
    /// When the server received the first event that the journal still holds.
    pub journal_since: Option<Timestamp>,
}

impl OpenEpochs {
    /// Notes that the flight `seq` belongs to `epoch`; its first event was received at `since`.
    /// Flights come in order.
    pub(crate) fn note(&self, epoch: Epoch, seq: Seq, since: Timestamp) {
        let mut standing = self.lock();
        let (last, oldest) = standing.open.entry(epoch).or_insert((seq, since));
        *last = seq;
        *oldest = since.min(*oldest);
    }

    /// Notes what the fence said when `epoch` had ended.
    pub(crate) fn ended(&self, epoch: Epoch, events: u64) {
        self.lock().totals.insert(epoch, events);
    }

    /// What the fence said when `epoch` had ended, if this process has seen it.
    pub(crate) fn total(&self, epoch: Epoch) -> Option<u64> {
        self.lock().totals.get(&epoch).copied()
    }

    /// Notes that all epochs before `frontier` are applied (`None`: all).
    pub(crate) fn applied(&self, frontier: Option<Epoch>) {
        self.lock().frontier = frontier.unwrap_or(Epoch(u64::MAX));
    }

    /// How far apply is behind what has reached it.
    pub fn lag(&self) -> Lag {
        let standing = self.lock();
        let since = |(_, (_, since)): (&Epoch, &(Seq, Timestamp))| {
            // an epoch of empty flights only
            Some(*since).filter(|since| *since != Timestamp::MAX)
        };
        let mut waiting = standing.open.range(standing.frontier..);
        Lag {
            epochs: waiting.clone().count(),
            since: waiting.find_map(since),
            journal_since: standing.open.iter().find_map(since),
        }
    }

    /// Those after `after` that are before `before`, or all after it, in order.
    pub(crate) fn between(&self, after: Epoch, before: Option<Epoch>) -> Vec<(Epoch, Seq)> {
        let standing = self.lock();
        let open = standing.open.iter();
        open.filter(|(epoch, _)| **epoch > after && before.is_none_or(|before| **epoch < before))
            .map(|(epoch, (seq, _))| (*epoch, *seq))
            .collect()
    }

    /// Forgets all up to and including `upto`.
    pub(crate) fn forget(&self, upto: Epoch) {
        let mut standing = self.lock();
        standing.open.retain(|epoch, _| *epoch > upto);
        standing.totals.retain(|epoch, _| *epoch >= upto);
    }

    /// Those that are not known to be applied, in order. The tables hold all that came before.
    pub fn waiting(&self) -> Vec<Epoch> {
        let standing = self.lock();
        standing.open.range(standing.frontier..).map(|(epoch, _)| *epoch).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Standing> {
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
        let mut clock = EpochClock::new(Epoch(0), seconds(30), 100);
        assert_eq!(clock.close(seconds(99), true), None);
        assert_eq!(clock.current(seconds(1), wall), Epoch(100));
        clock.executed(Seq(1), 60);
        assert_eq!(clock.current(seconds(29), wall), Epoch(100));
        clock.executed(Seq(2), 39);
        assert_eq!(clock.close(seconds(30), false), None);
        assert_eq!(clock.close(seconds(31), false), Some((Epoch(100), Seq(2))));
        // the clock stood still: numbers grow all the same
        assert_eq!(clock.current(seconds(31), wall), Epoch(101));
    }

    #[test]
    fn an_epoch_closes_when_it_is_full() {
        let mut clock = EpochClock::new(Epoch(0), Duration::from_secs(30), 100);
        clock.current(Duration::ZERO, Timestamp::default());
        clock.executed(Seq(1), 99);
        assert_eq!(clock.close(Duration::ZERO, false), None);
        clock.executed(Seq(2), 1);
        assert_eq!(clock.close(Duration::ZERO, false), Some((Epoch(1), Seq(2))));
    }

    #[test]
    fn an_epoch_without_an_executed_flight_closes_silently() {
        let mut clock = EpochClock::new(Epoch(5), Duration::ZERO, 100);
        clock.current(Duration::ZERO, Timestamp::default());
        assert_eq!(clock.close(Duration::ZERO, true), None);
        assert_eq!(clock.current(Duration::ZERO, Timestamp::default()), Epoch(7));
    }

    #[test]
    fn lag_is_of_what_is_not_applied() {
        let at = Timestamp::from_millis;
        let epochs = OpenEpochs::default();
        assert_eq!(epochs.lag(), Lag::default());
        epochs.note(Epoch(5), Seq(1), at(1_000));
        epochs.note(Epoch(5), Seq(2), at(900));
        epochs.note(Epoch(6), Seq(3), Timestamp::MAX);
        epochs.note(Epoch(7), Seq(4), at(3_000));
        let lag = |epochs, since: Option<i64>, journal_since: Option<i64>| Lag {
            epochs,
            since: since.map(at),
            journal_since: journal_since.map(at),
        };
        assert_eq!(epochs.lag(), lag(3, Some(900), Some(900)));
        epochs.applied(Some(Epoch(6)));
        assert_eq!(epochs.lag(), lag(2, Some(3_000), Some(900)));
        assert_eq!(epochs.waiting(), [Epoch(6), Epoch(7)]);
        epochs.forget(Epoch(5));
        assert_eq!(epochs.lag(), lag(2, Some(3_000), Some(3_000)));
        epochs.applied(None);
        assert_eq!(epochs.lag(), lag(0, None, Some(3_000)));
    }
}
