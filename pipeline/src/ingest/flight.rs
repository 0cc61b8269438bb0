//! A flight on its way into the journal, with those who wait for it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use errsift_ops::{
    flight::Flight,
    id::{Epoch, Seq, Shard},
    job::{self, Job},
    tally::Tallied,
    timestamp::Timestamp,
};

use crate::{
    ack::{Outcome, Waiter},
    counters::Counters,
    histogram::{Batch, MICROSECONDS},
    ports::{heal::Recent, journal::Fence},
};

/// Those who wait for a flight. Answered once, by whoever comes first: the journal's own thread
/// when the flight is durable, or the worker when their time is up.
#[derive(Debug)]
pub(crate) struct Waiters<W> {
    waiting: Mutex<Vec<W>>,
    /// Events that are waited for beyond one for each who waits.
    batched: u64,
    counters: Arc<Counters>,
}

impl<W: Waiter> Waiters<W> {
    pub(crate) fn new(waiting: Vec<W>, batched: u64, counters: Arc<Counters>) -> Self {
        Self { waiting: Mutex::new(waiting), batched, counters }
    }

    /// Tells all who still wait, at `now`.
    pub(crate) fn answer(&self, outcome: &Outcome, now: Duration) {
        let waiting = std::mem::take(&mut *self.lock());
        if waiting.is_empty() {
            return;
        }
        let counter = match outcome {
            Outcome::Stored => &self.counters.acked,
            Outcome::Invalid(_) => &self.counters.invalid,
            Outcome::NotStored => &self.counters.not_stored,
            Outcome::MaybeStored => &self.counters.maybe_stored,
        };
        counter.add(waiting.len() as u64 + self.batched);
        let since: Vec<_> = match outcome {
            Outcome::Stored => waiting.iter().filter_map(W::waiting_since).collect(),
            _ => Vec::new(),
        };
        W::answer_all(waiting, outcome);
        // they can be thousands, and nobody waits for this
        let mut waits = Batch::new(MICROSECONDS);
        for since in since {
            waits.observe_duration(now.saturating_sub(since));
        }
        self.counters.stages.ack.take_in(&mut waits);
    }

    /// Whether nobody waits any more.
    pub(crate) fn none_left(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<W>> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One sealed flight until it is resolved.
#[derive(Debug)]
pub(crate) struct Sealed<W> {
    pub(crate) flight: Flight,
    pub(crate) job: Bytes,
    /// The fence before it.
    pub(crate) before: Fence,
    /// The fence once it is executed.
    pub(crate) after: Fence,
    /// What was first sent, if empty bytes have taken its place.
    pub(crate) replaced: Option<Recent>,
    pub(crate) waiters: Arc<Waiters<W>>,
    /// When those who wait are told that it failed.
    pub(crate) deadline: Duration,
    /// Whether it may have been executed: then its number is taken until that is settled.
    pub(crate) ever_unknown: bool,
}

impl<W: Waiter> Sealed<W> {
    /// Gives `tallied` the number after `before` and encodes it.
    pub(crate) fn new(
        shard: Shard,
        before: Fence,
        epoch: Epoch,
        tallied: Tallied<W>,
        deadline: Duration,
        counters: &Arc<Counters>,
    ) -> Self {
        let flight = Flight {
            seq: before.seq.next(),
            epoch,
            received_min: tallied.received_min,
            received_max: tallied.received_max,
            entries: tallied.entries,
            ids: tallied.ids,
        };
        let counters = Arc::clone(counters);
        let waiters = Arc::new(Waiters::new(tallied.waiters, tallied.batched, counters));
        Self::encoded(shard, before, flight, waiters, deadline)
    }

    /// The same number without any content: sent in place of a flight that may or may not have
    /// been executed and that nobody waits for any more.
    pub(crate) fn emptied(self, shard: Shard) -> Self {
        let flight = Flight {
            seq: self.flight.seq,
            epoch: self.flight.epoch,
            received_min: Timestamp::MAX,
            received_max: Timestamp::default(),
            entries: Vec::new(),
            ids: Vec::new(),
        };
        let first = Recent { after: self.after, job: self.job };
        let replaced = self.replaced.or(Some(first));
        let empty = Self::encoded(shard, self.before, flight, self.waiters, self.deadline);
        Self { replaced, ever_unknown: true, ..empty }
    }

    fn encoded(
        shard: Shard,
        before: Fence,
        flight: Flight,
        waiters: Arc<Waiters<W>>,
        deadline: Duration,
    ) -> Self {
        let after = Fence {
            seq: flight.seq,
            epoch: flight.epoch,
            events: before.events + flight.events(),
            ..before
        };
        let job = Job { shard, term: before.term, first: flight.seq, flight };
        let bytes = Bytes::from(job::encode(&job));
        Self {
            flight: job.flight,
            job: bytes,
            before,
            after,
            replaced: None,
            waiters,
            deadline,
            ever_unknown: false,
        }
    }

    /// Whether a fence that stands so says that this flight, or what it has replaced, is executed.
    pub(crate) fn may_be(&self, found: &Fence) -> bool {
        self.after == *found || self.first_sent().is_some_and(|first| first == found)
    }

    /// Events that are journaled once it, or what it has replaced, is executed.
    pub(crate) fn events(&self) -> u64 {
        self.first_sent().unwrap_or(&self.after).events - self.before.events
    }

    /// The fence once the bytes first sent are executed, if empty ones have taken their place.
    pub(crate) fn first_sent(&self) -> Option<&Fence> {
        self.replaced.as_ref().map(|first| &first.after)
    }

    /// The bytes that are in the journal if the fence stands at `executed`.
    pub(crate) fn job_at(&self, executed: &Fence) -> Bytes {
        let first = self.replaced.as_ref().filter(|first| first.after == *executed);
        first.map_or(&self.job, |first| &first.job).clone()
    }

    pub(crate) fn seq(&self) -> Seq {
        self.flight.seq
    }
}
