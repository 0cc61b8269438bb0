//! Half-open 30-second buckets of event time.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// The bucket `[start, start + 30 s)` of event time: a key of the data, never a reason to drop a
/// late event.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Window {
    index: u64,
}

impl Window {
    /// Length of a window in milliseconds.
    pub const LENGTH_MS: i64 = 30_000;

    /// The window that `at` lies in.
    ///
    /// ```
    /// use errsift_ops::{timestamp::Timestamp, window::Window};
    /// let window = Window::of(Timestamp::from_millis(59_999));
    /// assert_eq!(window.start(), Timestamp::from_millis(30_000));
    /// assert_eq!(window, Window::of(Timestamp::from_millis(30_000)));
    /// assert_ne!(window, Window::of(Timestamp::from_millis(60_000)));
    /// ```
    pub fn of(at: Timestamp) -> Self {
        Self { index: (at.millis() / Self::LENGTH_MS).unsigned_abs() }
    }

    /// First instant inside the window.
    pub fn start(self) -> Timestamp {
        let index = i64::try_from(self.index).unwrap_or(i64::MAX);
        Timestamp::from_millis(index.saturating_mul(Self::LENGTH_MS))
    }
}
