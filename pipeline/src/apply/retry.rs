//! Trying again: for ever, ever more slowly, and without filling the log.

use std::{thread, time::Duration};

const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Paces the attempts of one thread.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
}

impl Retry {
    /// Sleeps before the next attempt: 20 ms after the first failure, doubling to 2 s.
    pub(crate) fn pause(&mut self) {
        let doubled = PAUSE_MIN.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        thread::sleep(doubled.min(PAUSE_MAX));
    }

    /// Whether this failure is worth a line in the log: the 1st, 2nd, 4th, 8th… in a row.
    pub(crate) fn worth_a_line(&self) -> bool {
        (self.failures + 1).is_power_of_two()
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a success.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }
}
