//! What is folded per fingerprint and window.

mod batch;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use differential_dataflow::difference::{IsZero, Semigroup};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use timely::{
    dataflow::{
        StreamVec,
        channels::pact::Pipeline,
        operators::{Capability, Operator, generic::operator::empty},
    },
    order::TotalOrder,
    progress::Timestamp as Time,
};

use crate::{
    batch::Batch,
    event::EventId,
    fingerprint::{Fingerprint, RULE},
    flight::{Details, Entry},
    reported::Reported,
    timestamp::Timestamp,
    window::Window,
};

/// Count, first seen and last seen of one fingerprint in one window.
///
/// A differential `Semigroup`: counts add, the span grows. It is zero only when nothing was
/// counted, so no tally that holds an event is ever dropped by consolidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tally {
    /// Number of events.
    pub count: u64,
    /// Time of the earliest one.
    pub first: Timestamp,
    /// Time of the latest one.
    pub last: Timestamp,
}

impl Tally {
    /// The tally of one event at `at`.
    pub fn one(at: Timestamp) -> Self {
        Self { count: 1, first: at, last: at }
    }

    /// Folds `other` into this.
    ///
    /// ```
    /// use errsift_ops::{tally::Tally, timestamp::Timestamp};
    /// let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(9));
    /// let mut tally = Tally::one(late);
    /// tally.fold(&Tally::one(early));
    /// assert_eq!(tally, Tally { count: 2, first: early, last: late });
    /// ```
    pub fn fold(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl IsZero for Tally {
    fn is_zero(&self) -> bool {
        self.count == 0
    }
}

impl Semigroup for Tally {
    fn plus_equals(&mut self, rhs: &Self) {
        self.fold(rhs);
    }
}

/// All events of one dataflow time, folded, with everybody who waits for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied<W> {
    /// One entry per fingerprint and window.
    pub entries: Vec<Entry>,
    /// Those who wait, one per event, and one for each time that an event came again; for a batch
    /// one.
    pub waiters: Vec<W>,
    /// Events that are waited for beyond one for each who waits.
    pub batched: u64,
    /// Ids of the events that have one, each once.
    pub ids: Vec<EventId>,
    /// Times that an event came again with its id. It is counted once.
    pub repeated: u64,
    /// When the server received the first event.
    pub received_min: Timestamp,
    /// When the server received the last event.
    pub received_max: Timestamp,
    /// Events whose time lay in the future and was brought back.
    pub clamped: u64,
}

impl<W> Default for Tallied<W> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            waiters: Vec::new(),
            batched: 0,
            ids: Vec::new(),
            repeated: 0,
            received_min: Timestamp::MAX,
            received_max: Timestamp::default(),
            clamped: 0,
        }
    }
}

/// The tallies that form while their time is open.
struct Forming<W> {
    tallied: Tallied<W>,
    positions: FxHashMap<(Fingerprint, Window), usize>,
    detailed: FxHashSet<Fingerprint>,
    /// Clients choose ids: this set hashes with a secret that makes clashes hard to find.
    ids: HashSet<EventId>,
}

/// Entries that there is room for from the start: growing costs more than all else that is done
/// for an entry.
const POSITIONS: usize = 112;

impl<W> Forming<W> {
    fn new() -> Self {
        Self {
            tallied: Tallied::default(),
            positions: HashMap::with_capacity_and_hasher(POSITIONS, FxBuildHasher),
            detailed: FxHashSet::default(),
            ids: HashSet::new(),
        }
    }

    /// Folds one event in; keeps its words if `wanted` says so and no entry of this fingerprint
    /// has any yet.
    fn fold(
        &mut self,
        fingerprint: Fingerprint,
        event: Reported,
        waiter: W,
        wanted: impl FnOnce(&Fingerprint) -> bool,
    ) {
        let tallied = &mut self.tallied;
        tallied.waiters.push(waiter);
        if let Some(id) = event.event_id {
            if !self.ids.insert(id) {
                tallied.repeated += 1;
                return;
            }
            tallied.ids.push(id);
        }
        tallied.received_min = tallied.received_min.min(event.received);
        tallied.received_max = tallied.received_max.max(event.received);
        tallied.clamped += u64::from(event.clamped);
        let window = Window::of(event.timestamp);
        let tally = Tally::one(event.timestamp);
        if let Some(position) = self.positions.get(&(fingerprint, window)) {
            tallied.entries[*position].tally.fold(&tally);
            return;
        }
        self.positions.insert((fingerprint, window), tallied.entries.len());
        let wanted = wanted(&fingerprint) && self.detailed.insert(fingerprint);
        let payload = wanted.then(|| event.into_payload()).flatten();
        let details = payload.map(|payload| Arc::new(Details { rule: RULE, payload }));
        tallied.entries.push(Entry { fingerprint, window, tally, details });
    }
}

/// Folds the events of each time into one [`Tallied`].
pub trait TallyByTime<'scope, T: Time, W> {
    /// Emits, once the frontier has passed a time, everything that came at it, folded per
    /// fingerprint and window; events with equal ids are one, the first. `wanted` is asked whether
    /// the words of an error are still needed.
    ///
    /// ```
    /// use errsift_ops::{event::Event, fingerprint::WithFingerprint, tally::TallyByTime};
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract, vec::Map};
    ///
    /// let tallied = timely::execute_directly(|worker| {
    ///     let (mut input, tallied) = worker.dataflow::<u64, _, _>(|scope| {
    ///         let (input, events) = scope.new_input();
    ///         let tallied = events.fingerprint().tally(|_| true).map(|tallied| {
    ///             let entry = &tallied.entries[0];
    ///             (tallied.entries.len(), entry.tally.count, entry.details.is_some())
    ///         });
    ///         (input, tallied.capture())
    ///     });
    ///     let boom = Event { message: "boom".to_owned(), ..Event::default() };
    ///     input.send((boom.clone().into(), ()));
    ///     input.send((boom.clone().into(), ()));
    ///     input.advance_to(3);
    ///     input.send((boom.into(), ()));
    ///     tallied
    /// });
    /// assert_eq!(tallied.extract(), [(0, vec![(1, 2, true)]), (3, vec![(1, 1, true)])]);
    /// ```
    fn tally(
        self,
        wanted: impl FnMut(&Fingerprint) -> bool + 'static,
    ) -> StreamVec<'scope, T, Tallied<W>>;

    /// As [`tally`](Self::tally), with the events of `batches` as well.
    fn tally_with(
        self,
        batches: StreamVec<'scope, T, Batch<W>>,
        wanted: impl FnMut(&Fingerprint) -> bool + 'static,
    ) -> StreamVec<'scope, T, Tallied<W>>;
}

impl<'scope, T: Time + TotalOrder, W: 'static> TallyByTime<'scope, T, W>
    for StreamVec<'scope, T, (Fingerprint, Reported, W)>
{
    fn tally(
        self,
        wanted: impl FnMut(&Fingerprint) -> bool + 'static,
    ) -> StreamVec<'scope, T, Tallied<W>> {
        let no_batches = empty(self.scope());
        self.tally_with(no_batches, wanted)
    }

    fn tally_with(
        self,
        batches: StreamVec<'scope, T, Batch<W>>,
        mut wanted: impl FnMut(&Fingerprint) -> bool + 'static,
    ) -> StreamVec<'scope, T, Tallied<W>> {
        self.binary_frontier(batches, Pipeline, Pipeline, "Tally", |_capability, _info| {
            let mut open = Open(Vec::new());
            move |(events, of_events), (batches, of_batches), output| {
                events.for_each_stamp(|time, events| {
                    let Some(time) = time.retain_least(output.output_index()) else {
                        return;
                    };
                    let forming = open.at(time);
                    for (fingerprint, event, waiter) in events.flat_map(|events| events.drain(..)) {
                        forming.fold(fingerprint, event, waiter, &mut wanted);
                    }
                });
                batches.for_each_stamp(|time, batches| {
                    let Some(time) = time.retain_least(output.output_index()) else {
                        return;
                    };
                    let forming = open.at(time);
                    for batch in batches.flat_map(|batches| batches.drain(..)) {
                        forming.fold_batch(batch, &mut wanted);
                    }
                });
                let is_past = |at: &T| !of_events.less_equal(at) && !of_batches.less_equal(at);
                for (time, tallied) in open.close(is_past) {
                    output.session(&time).give(tallied);
                }
            }
        })
    }
}

/// The capabilities of open times, with what has come at them.
struct Open<T: Time, W>(Vec<(Capability<T>, Forming<W>)>);

impl<T: Time + TotalOrder, W> Open<T, W> {
    fn at(&mut self, time: Capability<T>) -> &mut Forming<W> {
        let known = self.0.iter().position(|(at, _)| *at == time);
        let index = known.unwrap_or_else(|| {
            self.0.push((time, Forming::new()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// Takes out, in order, the times that nothing comes at any more.
    fn close(
        &mut self,
        is_past: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = (Capability<T>, Tallied<W>)> {
        self.0.sort_by(|(left, _), (right, _)| left.time().cmp(right.time()));
        let closed = self.0.partition_point(|(at, _)| is_past(at.time()));
        self.0.drain(..closed).map(|(time, forming)| (time, forming.tallied))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    fn tallies() -> impl Strategy<Value = Tally> {
        (0..5u64, 0..100i64, 0..100i64).prop_map(|(count, first, length)| Tally {
            count,
            first: Timestamp::from_millis(first),
            last: Timestamp::from_millis(first + length),
        })
    }

    fn sum(left: Tally, right: Tally) -> Tally {
        let mut sum = left;
        sum.fold(&right);
        sum
    }

    #[test]
    fn an_id_counts_once_whatever_else_came_with_it() {
        let mut forming = Forming::new();
        let event = |message: &str, id| Event {
            message: message.to_owned(),
            event_id: id,
            ..Event::default()
        };
        let (one, two) = (Some(EventId(1)), Some(EventId(2)));
        let events = [("a", one), ("b", one), ("a", two), ("a", None), ("a", None), ("a", one)];
        for (waiter, (message, id)) in events.into_iter().enumerate() {
            let event = event(message, id);
            forming.fold(Fingerprint::of(&event), event.into(), waiter, |_| true);
        }
        let Tallied { entries, waiters, ids, repeated, .. } = forming.tallied;
        assert_eq!(waiters, [0, 1, 2, 3, 4, 5]);
        assert_eq!((ids, repeated), (vec![EventId(1), EventId(2)], 2));
        assert_eq!((entries.len(), entries[0].tally.count), (1, 4));
    }

    proptest! {
        #[test]
        fn folding_is_associative_and_commutative(a in tallies(), b in tallies(), c in tallies()) {
            prop_assert_eq!(sum(sum(a, b), c), sum(a, sum(b, c)));
            prop_assert_eq!(sum(a, b).count, sum(b, a).count);
            if a.count > 0 && b.count > 0 {
                prop_assert_eq!(sum(a, b), sum(b, a));
            }
            prop_assert_eq!(sum(a, b).is_zero(), a.count + b.count == 0);
        }
    }
}
