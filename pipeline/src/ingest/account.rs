//! The ledger's first side: what became of every event that was taken from the channel.
//!
//! One thread moves all of them, so between two of its steps each event is in exactly one place:
//! refused, left out because it came before, inside the dataflow on its way to a flight, in the sealed flight, executed, or dropped
//! with a flight that certainly never will be. Each place is counted by itself, by those who have
//! the events in hand; that they add up is what the ledger shows.

use std::collections::BTreeMap;

use crate::counters::Counters;

/// Events that the ingest worker has taken, by where they are.
#[derive(Debug)]
pub(crate) struct Account {
    taken: u64,
    refused: u64,
    /// Came before, with the same id.
    repeated: u64,
    /// On their way to a flight, by the dataflow's time.
    inside: BTreeMap<u64, u64>,
    /// The fence's events when this process took the shard.
    journaled_before: u64,
}

impl Account {
    /// An empty account of a journal that holds `journaled_before` events of others.
    pub(crate) fn new(journaled_before: u64) -> Self {
        Self { taken: 0, refused: 0, repeated: 0, inside: BTreeMap::new(), journaled_before }
    }

    /// Notes that so many were taken from the channel and sent into the dataflow at `time`.
    pub(crate) fn taken(&mut self, time: u64, events: u64) {
        self.taken += events;
        *self.inside.entry(time).or_default() += events;
    }

    /// Notes that one that came at `time` was no event.
    pub(crate) fn refused(&mut self, time: u64) {
        self.refused += 1;
        self.leaves(time);
    }

    /// Notes that one that came at `time` came before, and goes no further.
    pub(crate) fn repeated(&mut self, time: u64) {
        self.repeated += 1;
        self.leaves(time);
    }

    /// Notes that all of a batch that came at `time` goes no further: so many of its events because
    /// they came before, and so many that are dropped with them.
    pub(crate) fn turned_away(&mut self, time: u64, repeated: u64, dropped: u64) {
        self.repeated += repeated;
        self.leave(time, repeated + dropped);
    }

    fn leaves(&mut self, time: u64) {
        self.leave(time, 1);
    }

    fn leave(&mut self, time: u64, events: u64) {
        if let Some(inside) = self.inside.get_mut(&time) {
            *inside = inside.saturating_sub(events);
        }
    }

    /// Notes that all that came at `time` and went on is sealed in one flight, but for so many that
    /// came before in the same one.
    pub(crate) fn sealed(&mut self, time: u64, repeated: u64) {
        self.repeated += repeated;
        self.inside.remove(&time);
    }

    /// Notes that no flight will come of times before `frontier` any more. What they still hold
    /// is lost, and the difference will say so.
    pub(crate) fn passed(&mut self, frontier: u64) {
        while let Some(first) = self.inside.first_entry().filter(|first| *first.key() < frontier) {
            first.remove();
        }
    }

    /// Publishes how things stand, with `sealed` events in a flight that is not settled.
    pub(crate) fn publish(&self, sealed: u64, counters: &Counters) {
        counters.pulse.taken.set(self.taken);
        let moving = self.inside.values().sum::<u64>() + sealed;
        let waiting = counters.channel_depth.get();
        counters.in_flight.set(waiting + moving);
        let journaled = counters.journaled.get().wrapping_sub(self.journaled_before);
        let settled = self.refused + self.repeated + counters.dropped.get();
        counters.acked_difference.set(self.taken, (settled + moving).wrapping_add(journaled));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(account: &Account, sealed: u64, counters: &Counters) -> (u64, i64) {
        account.publish(sealed, counters);
        (counters.in_flight.get(), counters.acked_difference.get())
    }

    #[test]
    fn the_difference_is_zero_wherever_events_are() {
        let counters = Counters::default();
        counters.journaled.set(1_000);
        let mut account = Account::new(1_000);
        account.taken(1, 10);
        assert_eq!(difference(&account, 0, &counters), (10, 0));
        account.refused(1);
        account.taken(2, 5);
        assert_eq!(difference(&account, 0, &counters), (14, 0));
        account.sealed(1, 0);
        assert_eq!(difference(&account, 9, &counters), (14, 0));
        counters.journaled.set(1_009);
        assert_eq!(difference(&account, 0, &counters), (5, 0));
        account.sealed(2, 0);
        counters.dropped.add(5);
        assert_eq!(difference(&account, 0, &counters), (0, 0));
        account.taken(3, 4);
        account.repeated(3);
        assert_eq!(difference(&account, 0, &counters), (3, 0));
        account.sealed(3, 2);
        assert_eq!(difference(&account, 1, &counters), (1, 0));
    }

    #[test]
    fn what_is_lost_or_doubled_shows() {
        let counters = Counters::default();
        let mut account = Account::new(0);
        account.taken(1, 10);
        account.sealed(1, 0);
        assert_eq!(difference(&account, 9, &counters), (9, 1));
        counters.journaled.set(12);
        assert_eq!(difference(&account, 0, &counters), (0, -2));
        account.taken(2, 3);
        account.passed(3);
        assert_eq!(difference(&account, 0, &counters), (0, 1));
    }
}
