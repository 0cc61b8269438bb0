//! The pipeline's limits and intervals, by name.

use std::{num::NonZeroUsize, time::Duration};

use errsift_ops::id::Shard;

/// Events of one flight.
pub const FLIGHT_EVENTS_MAX: usize = 16 * 1024;
/// Bytes of the bodies that make up one flight; what a job holds of an event, its id included, is
/// shorter than its body, or of bounded size.
pub const FLIGHT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Events that wait between the front end and ingest.
pub const CHANNEL_EVENTS_MAX: usize = 64 * 1024;
/// Flights that wait in memory between ingest and apply; further ones are paged from the journal.
pub const FEED_FLIGHTS_MAX: usize = 4 * 1024;
/// Bytes of flights in memory that are not applied yet, if nothing else is asked for.
pub const APPLY_BACKLOG_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Jobs read from the journal at once.
pub const PAGE_JOBS: usize = 64;
/// Bytes of the jobs read from the journal at once, after which no further one is added.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Jobs merged at once: what is merged needs as many steps of the journal's store.
pub const MERGE_JOBS: usize = 64;
/// Places of the journal looked at in one step of merging.
pub const MERGE_PAGE_JOBS: usize = 1_024;
/// Bytes of the jobs merged at once. What merging has made as large as that stays as it is.
pub const MERGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Fingerprints remembered as stored, once by ingest and once by each apply worker.
pub const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(256 * 1024).expect("not zero");
/// How often pending counts are passed on.
pub const PENDING_INTERVAL: Duration = Duration::from_secs(1);
/// Rows of details in one call to the tables.
pub const DETAILS_ROWS: usize = 1_000;
/// Rows of counts after which a transaction takes no further part.
pub const APPLY_ROWS: usize = 10_000;
/// The same of a replay, which has more at once: details sorted over more rows, and windows in fewer
/// rounds over all the time that a log covers, take the tables less time.
pub const REPLAY_DETAILS_ROWS: usize = 100_000;
/// The same of a replay.
pub const REPLAY_APPLY_ROWS: usize = 50_000;

/// Ids of stored events that are remembered: 5 minutes of some 6,300 events with ids a second. Each
/// takes about 35 bytes for recognising it, up to 16 until its job is trimmed, and 16 in the journal.
pub const IDS_MAX: usize = 2 * 1024 * 1024;

/// What a user may change.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The journal to write.
    pub shard: Shard,
    /// How long an epoch stays open.
    pub flush_interval: Duration,
    /// How long an event may wait for its flight before its sender is told 503.
    pub ack_deadline: Duration,
    /// Apply workers.
    pub workers: NonZeroUsize,
    /// Whether to count what each operator does.
    pub operator_metrics: bool,
    /// How long the pipeline may stand still while it could move; `None` for as long as it likes.
    pub watchdog: Option<Duration>,
    /// Bytes of jobs in memory that are not applied yet; further ones wait in the journal.
    pub backlog_bytes_max: usize,
    /// How long jobs stay in the journal after every part has confirmed them.
    pub trim_lag: Duration,
}

impl Settings {
    /// Bytes of an epoch's jobs after which it is closed before its time: half of what may be in
    /// memory, so that there is always room to go on with the epoch that is being applied.
    pub fn epoch_bytes_max(&self) -> usize {
        self.backlog_bytes_max / 2
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shard: Shard::default(),
            flush_interval: Duration::from_secs(30),
            ack_deadline: Duration::from_secs(5),
            workers: NonZeroUsize::MIN,
            operator_metrics: true,
            backlog_bytes_max: APPLY_BACKLOG_BYTES_MAX,
            trim_lag: Duration::ZERO,
            watchdog: Some(Duration::from_secs(10)),
        }
    }
}
