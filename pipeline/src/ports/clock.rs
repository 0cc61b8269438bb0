//! Time, handed in.

use std::time::Duration;

use errsift_ops::timestamp::Timestamp;

/// Where the pipeline reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time: for events, epochs and people.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment, never going back: for deadlines and delays.
    fn monotonic(&self) -> Duration;
}
