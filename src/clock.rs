//! The one place that reads the system's clocks.
#![expect(clippy::disallowed_methods, reason = "this is where the clock is read")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use errsift_ops::timestamp::Timestamp;
use errsift_pipeline::ports::clock::Clock;

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Clocks whose monotonic time starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
