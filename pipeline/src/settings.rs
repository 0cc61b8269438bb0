//! The pipeline's limits and intervals, by name.

use std::{num::NonZeroUsize, time::Duration};

use errsift_ops::id::Shard;

/// Events of one flight.
pub const FLIGHT_EVENTS_MAX: usize = 16 * 1024;
/// Bytes of the bodies that make up one flight.
pub const FLIGHT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Events that wait between the front end and ingest.
pub const CHANNEL_EVENTS_MAX: usize = 64 * 1024;
/// Flights that wait in memory between ingest and apply; further ones are paged from the journal.
pub const FEED_FLIGHTS_MAX: usize = 4 * 1024;
/// Bytes of flights in memory that are not applied yet.
pub const APPLY_BACKLOG_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Jobs read from the journal at once.
pub const PAGE_JOBS: usize = 64;
/// Fingerprints remembered as stored, once by ingest and once by each apply worker.
pub const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(256 * 1024).expect("not zero");
/// How often pending counts are passed on.
pub const PENDING_INTERVAL: Duration = Duration::from_secs(1);
/// Rows of details in one call to the tables.
pub const DETAILS_ROWS: usize = 1_000;
/// Rows of counts after which a transaction takes no further part.
pub const APPLY_ROWS: usize = 10_000;

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shard: Shard::default(),
            flush_interval: Duration::from_secs(30),
            ack_deadline: Duration::from_secs(5),
            workers: NonZeroUsize::MIN,
            operator_metrics: true,
            watchdog: Some(Duration::from_secs(10)),
        }
    }
}
