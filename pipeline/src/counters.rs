//! What the pipeline counts about itself, for metrics and the ledger.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use errsift_ops::id::Part;

use crate::{
    histogram::{BYTES, EVENTS, Histogram, MICROSECONDS},
    ports::errors::{Guard, Settled},
    watchdog::Pulse,
};

/// A number that only the pipeline changes and anybody may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes `amount` away.
    pub fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Replaces the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that may be below zero.
#[derive(Debug, Default)]
pub struct Difference(AtomicI64);

impl Difference {
    /// Replaces the value by `more - less`.
    pub fn set(&self, more: u64, less: u64) {
        self.0.store(more.wrapping_sub(less).cast_signed(), Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where events and flights spend their time, and how large flights are. Durations are in
/// microseconds.
#[derive(Debug)]
pub struct Stages {
    /// Of an event: from its offer to the worker's taking it out of the channel.
    pub channel: Histogram,
    /// Of an event: from its offer to the answer that it is stored.
    pub ack: Histogram,
    /// Of a flight: from its first event until the journal is free for it.
    pub forming: Histogram,
    /// Of a flight: from then until its bytes are handed to the journal.
    pub sealing: Histogram,
    /// Of a flight: from handing its bytes over until the journal's thread hears that it is
    /// executed and durable; the last try only, if there were several.
    pub commit: Histogram,
    /// Of a flight: from then until the worker takes it in and may send the next.
    pub settling: Histogram,
    /// Events of executed flights.
    pub events: Histogram,
    /// Entries of executed flights.
    pub entries: Histogram,
    /// Bytes of executed flights' jobs.
    pub bytes: Histogram,
}

impl Default for Stages {
    fn default() -> Self {
        let time = || Histogram::new(MICROSECONDS);
        Self {
            channel: time(),
            ack: time(),
            forming: time(),
            sealing: time(),
            commit: time(),
            settling: time(),
            events: Histogram::new(EVENTS),
            entries: Histogram::new(EVENTS),
            bytes: Histogram::new(BYTES),
        }
    }
}

/// Events by what became of them, and the pipeline's stages. All are of this process, but for
/// `journaled` and `counted`, which go on from what the stores say.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events offered to the channel.
    pub received: Counter,
    /// Events turned away because the channel was full.
    pub shed: Counter,
    /// Bodies that were not events.
    pub invalid: Counter,
    /// Events whose senders were told that they are stored.
    pub acked: Counter,
    /// Events whose senders were told that they are not stored.
    pub not_stored: Counter,
    /// Events whose senders were told that they may be stored.
    pub maybe_stored: Counter,
    /// Events whose time lay in the future and was brought back.
    pub clamped: Counter,
    /// Events in all flights ever executed on this shard: the fence's total.
    pub journaled: Counter,
    /// Events ever applied on this shard: the guard rows' total.
    pub counted: Counter,
    /// Events of flights that were sealed and will certainly never be executed.
    pub dropped: Counter,
    /// Events taken in and neither refused, dropped nor executed yet.
    pub in_flight: Counter,
    /// The ledger's first difference: events taken from the channel, less those refused, left out,
    /// dropped, in flight and journaled. Reckoned by the ingest worker between two steps, when nothing
    /// moves, so it is exact at any time.
    pub acked_difference: Difference,
    /// The ledger's second difference: the fence's events at the end of the last applied epoch,
    /// less the guard rows' and the dead. Reckoned when guards are read back before a trim.
    pub applied_difference: Difference,
    /// Flights executed.
    pub flights: Counter,
    /// Where time is spent.
    pub stages: Stages,
    /// Commits that the journal refused.
    pub refused: Counter,
    /// Commits whose answer was lost.
    pub unknown: Counter,
    /// Times that the journal was found without flights that it had executed.
    pub regressions: Counter,
    /// Jobs that a journal was given again after that.
    pub healed_jobs: Counter,
    /// Flights whose memory short-cut was dropped because apply lagged; they are paged later.
    pub paged: Counter,
    /// Epochs applied.
    pub epochs: Counter,
    /// Errors of which this process was the first to count anything, as far as it knows: not those of
    /// a commit whose answer was lost.
    pub new_errors: Counter,
    /// Rows of counts applied.
    pub count_rows: Counter,
    /// Rows of details confirmed.
    pub details_rows: Counter,
    /// Attempts on the tables that failed and were or will be tried again.
    pub errors_retries: Counter,
    /// Batches of pending counts that were lost; they are right again when their epoch is applied.
    pub pending_lost: Counter,
    /// The last epoch that every part has applied.
    pub applied_epoch: Counter,
    /// Entries that wait in the channel between the front end and ingest.
    pub channel_depth: Counter,
    /// Errors that ingest knows to be stored.
    pub known: Counter,
    /// Bytes of jobs in memory that are not applied yet.
    pub apply_backlog_bytes: Counter,
    /// Rows in the tables' dead letters, as last read.
    pub dead_letters: Counter,
    /// Events in them.
    pub dead: Counter,
    /// Jobs that were set aside because they cannot be read.
    pub dead_jobs: Counter,
    /// Events in them, as far as that is known, and in those that were dropped.
    pub dead_job_events: Counter,
    /// Starts in a row, this one included, whose recovery has not come through; 0 once this one's
    /// has.
    pub unfinished_starts: Counter,
    /// Events of dead letters that were dropped for good, as last read.
    pub dead_dropped: Counter,
    /// Rows that this process has set aside because the tables refuse them as data.
    pub set_aside_rows: Counter,
    /// Events in them.
    pub set_aside: Counter,
    /// Jobs in the journal, as last read.
    pub journal_jobs: Counter,
    /// Bytes of the journal, as last read.
    pub journal_bytes: Counter,
    /// Acknowledged events that the stores have lost for good, as far as this process has seen.
    pub acked_lost: Counter,
    /// The journal's first flight when this process first read it.
    pub journal_base: Counter,
    /// 1 once the tables turned out to lack, or to have, what the journal knows nothing of: then the
    /// ledger's second difference is reckoned from how they stood.
    pub tables_apart: Counter,
    /// Jobs of closed epochs that were merged into others, and have left a blank in their place.
    pub merged: Counter,
    /// 1 while the journal takes flights, else 0.
    pub journal_up: Counter,
    /// 1 while the tables answer, else 0.
    pub errors_up: Counter,
    /// Threads that cannot write to the tables now and keep trying.
    pub errors_failing: Counter,
    /// Events left out because they came before, with the same id: that one is or may be counted.
    pub duplicates: Counter,
    /// Ids of stored events that are remembered.
    pub event_ids: Counter,
    /// Ids of stored events that were forgotten early, for want of room.
    pub event_ids_crowded_out: Counter,
    /// What the watchdog looks at.
    pub pulse: Pulse,
    /// What [`counted`](Self::counted) is the sum of.
    counted_parts: CountedParts,
}

/// Events counted in each part, as far as is known.
#[derive(Debug)]
struct CountedParts(Mutex<[u64; Part::COUNT]>);

impl Default for CountedParts {
    fn default() -> Self {
        Self(Mutex::new([0; Part::COUNT]))
    }
}

impl Counters {
    /// Notes that a guard row says, or will say as soon as it is read, that so many events are
    /// counted in `part`. They only grow, and others than its writer may add to them: whoever has
    /// seen the most is right, in whatever order it is noted.
    pub(crate) fn counted_in(&self, part: Part, events: u64) {
        let mut parts = self.counted_parts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = &mut parts[part.index()];
        self.counted.add(events.saturating_sub(*seen));
        *seen = events.max(*seen);
    }

    /// Notes what the tables say became of the shard's events.
    pub fn settled(&self, settled: &Settled) {
        for (part, Guard { events, .. }) in Part::all().zip(&settled.guards) {
            self.counted_in(part, *events);
        }
        self.dead_letters.set(settled.dead.rows);
        self.dead.set(settled.dead.events);
        self.dead_dropped.set(settled.dropped());
    }
}

impl Counters {
    /// Events that were set aside, as rows in the tables or as jobs in the journal.
    pub fn dead_events(&self) -> u64 {
        self.dead.get() + self.dead_job_events.get()
    }
}
