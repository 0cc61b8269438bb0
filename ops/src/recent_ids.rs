//! Which event ids are stored, or may be, told apart by time.
//!
//! An id is *unsettled* from the moment its event goes on towards a flight until that flight's fate
//! is known, and then *stored* for at least [`IDS_KEPT`], or forgotten if the flight was dropped.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use crate::event::EventId;

/// How long an id is kept after its event was stored: the 5 minutes that are promised, and half a
/// minute more because what a journal keeps of it is when its event was received, which can be that
/// long before it was answered.
pub const IDS_KEPT: Duration = Duration::from_secs(330);

/// Ids that were stored within this time of each other are forgotten together, with the last.
const SLICE: Duration = Duration::from_secs(60);

/// A slice is full with this part of all ids, so that forgetting one for want of room costs little.
const SLICES_OF_ROOM: usize = 8;

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// Nothing: its event has not come before, or was not stored, or came long ago.
    Never,
    /// Its event is on its way at this time of the dataflow.
    Unsettled(T),
    /// Its event is stored.
    Stored,
}

/// The ids of events on their way, by the dataflow's time, and of those stored lately.
///
/// Time is told to it: a moment on a clock that never goes back.
#[derive(Debug)]
pub struct RecentIds<T> {
    // ids are the clients' choice, so these maps hash with a secret that makes clashes hard to find
    unsettled: HashMap<EventId, T>,
    flights: BTreeMap<T, Vec<EventId>>,
    /// Stored ones, those forgotten first in front.
    slices: VecDeque<Slice>,
    stored: usize,
    stored_max: usize,
    crowded_out: u64,
    now: Duration,
}

#[derive(Debug)]
struct Slice {
    until: Duration,
    ids: HashSet<EventId>,
}

impl<T: Copy + Ord> RecentIds<T> {
    /// Remembers up to `stored_max` stored ids; beyond that the oldest are forgotten early.
    pub fn new(stored_max: usize) -> Self {
        Self {
            unsettled: HashMap::new(),
            flights: BTreeMap::new(),
            slices: VecDeque::new(),
            stored: 0,
            stored_max,
            crowded_out: 0,
            now: Duration::ZERO,
        }
    }

    /// What is known of `id`.
    pub fn seen(&self, id: EventId) -> Seen<T> {
        if let Some(time) = self.unsettled.get(&id) {
            return Seen::Unsettled(*time);
        }
        // most that come again do so soon
        let stored = self.slices.iter().rev().any(|slice| slice.ids.contains(&id));
        if stored { Seen::Stored } else { Seen::Never }
    }

    /// Notes that the event with `id` goes on towards the flight of `time`.
    pub fn sent_on(&mut self, id: EventId, time: T) {
        self.unsettled.insert(id, time);
        self.flights.entry(time).or_default().push(id);
    }

    /// Notes what became of the flight of `time`, now: stored, or certainly not.
    pub fn settle(&mut self, time: T, stored: bool) {
        for id in self.flights.remove(&time).unwrap_or_default() {
            self.unsettled.remove(&id);
            if stored {
                self.keep(id, self.now + IDS_KEPT);
            }
        }
    }

    /// Remembers an id as stored until `until`, or a little longer. Moments must not go back by
    /// more than that little.
    pub fn keep(&mut self, id: EventId, until: Duration) {
        let room = (self.stored_max / SLICES_OF_ROOM).max(1);
        let slice = match self.slices.back_mut() {
            Some(slice) if slice.until >= until && slice.ids.len() < room => slice,
            _ => {
                self.slices.push_back(Slice { until: until + SLICE, ids: HashSet::new() });
                self.slices.back_mut().expect("it was just pushed")
            }
        };
        self.stored += usize::from(slice.ids.insert(id));
        while self.stored > self.stored_max {
            let crowded_out = self.forget_slice();
            self.crowded_out += crowded_out as u64;
        }
    }

    /// Says that it is `now`, and forgets what is too old.
    pub fn advance(&mut self, now: Duration) {
        self.now = now;
        while self.slices.front().is_some_and(|slice| slice.until <= now) {
            self.forget_slice();
        }
    }

    fn forget_slice(&mut self) -> usize {
        let forgotten = self.slices.pop_front().map_or(0, |slice| slice.ids.len());
        self.stored -= forgotten;
        forgotten
    }

    /// Stored ids that are remembered.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// Stored ids that were forgotten before their time, for want of room.
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(n: u32) -> EventId {
        EventId(n.into())
    }

    #[test]
    fn an_id_is_unsettled_until_its_flight_is_settled() {
        let mut ids = RecentIds::new(100);
        ids.sent_on(id(1), 5);
        ids.sent_on(id(2), 6);
        assert_eq!(ids.seen(id(1)), Seen::Unsettled(5));
        ids.settle(5, true);
        ids.settle(6, false);
        assert_eq!(ids.seen(id(1)), Seen::Stored);
        assert_eq!(ids.seen(id(2)), Seen::Never);
        // its flight is dropped, it goes on with another
        ids.sent_on(id(2), 7);
        ids.settle(7, true);
        assert_eq!((ids.seen(id(2)), ids.stored()), (Seen::Stored, 2));
    }

    #[test]
    fn a_stored_id_is_kept_for_its_time_and_not_for_ever() {
        let mut ids = RecentIds::<u64>::new(1_000);
        for second in 0..600 {
            let now = SECOND * second;
            ids.advance(now);
            ids.sent_on(id(second), 1);
            ids.settle(1, true);
            let kept = u32::try_from(IDS_KEPT.as_secs()).unwrap();
            let at_least = second.saturating_sub(kept - 1)..=second;
            assert!(at_least.clone().all(|n| ids.seen(id(n)) == Seen::Stored), "{second}");
            assert!(ids.stored() <= at_least.count() + 62, "{second}: {}", ids.stored());
        }
        assert_eq!(ids.crowded_out(), 0);
        ids.advance(SECOND * 2_000);
        assert_eq!(ids.stored(), 0);
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let mut ids = RecentIds::<u64>::new(80);
        for n in 0..200 {
            ids.keep(id(n), IDS_KEPT);
            assert!(ids.stored() <= 80);
        }
        assert!(ids.stored() >= 70);
        assert_eq!(ids.crowded_out(), 200 - ids.stored() as u64);
        assert_eq!(ids.seen(id(0)), Seen::Never);
        assert_eq!(ids.seen(id(199)), Seen::Stored);
    }

    #[test]
    fn an_id_that_is_kept_twice_counts_once() {
        let mut ids = RecentIds::<u64>::new(80);
        ids.keep(id(1), IDS_KEPT);
        ids.keep(id(1), IDS_KEPT);
        assert_eq!(ids.stored(), 1);
    }
}
