//! What the pipeline counts about itself, for metrics and the ledger.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Flights executed.
    pub flights: Counter,
    /// Entries in them.
    pub flight_entries: Counter,
    /// Bytes of their jobs.
    pub flight_bytes: Counter,
    /// Microseconds from sending a flight to its end, summed.
    pub flight_micros: Counter,
    /// Commits that the journal refused.
    pub refused: Counter,
    /// Commits whose answer was lost.
    pub unknown: Counter,
    /// Flights whose memory short-cut was dropped because apply lagged; they are paged later.
    pub paged: Counter,
    /// Epochs applied.
    pub epochs: Counter,
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
    /// Jobs in the journal, as last read.
    pub journal_jobs: Counter,
    /// Bytes of the journal, as last read.
    pub journal_bytes: Counter,
    /// 1 while the journal takes flights, else 0.
    pub journal_up: Counter,
    /// 1 while the tables answer, else 0.
    pub errors_up: Counter,
    /// Threads that cannot write to the tables now and keep trying.
    pub errors_failing: Counter,
}
