//! A span of time, cut into so few steps that they can be drawn.

use errsift_ops::{timestamp::Timestamp, window::Window};

/// Points of an answer, at most.
const POINTS_MAX: i64 = 300;
/// The longest span, in milliseconds: 31 days.
pub const SPAN_MS_MAX: i64 = 31 * 86_400_000;
/// Lengths of a step in seconds; each is a whole number of windows.
const STEPS_S: [u32; 6] = [30, 60, 300, 900, 3_600, 10_800];

/// Whole steps `[since, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start of the first step.
    pub since: Timestamp,
    /// End of the last.
    pub until: Timestamp,
    /// Length of a step in seconds.
    pub step_s: u32,
}

impl Span {
    /// The span from `since` to `until`, widened to whole steps of the smallest length that makes
    /// at most 300 of them; `None` unless `since` is before `until`, by at most 31 days.
    pub fn of(since: Timestamp, until: Timestamp) -> Option<Self> {
        let length_ms = until.millis() - since.millis();
        if length_ms <= 0 || length_ms > SPAN_MS_MAX {
            return None;
        }
        let widened = |step_s: &u32| {
            let step_ms = i64::from(*step_s) * 1000;
            let first = since.millis() / step_ms;
            let end = (until.millis() + step_ms - 1) / step_ms;
            (end - first <= POINTS_MAX).then(|| Self {
                since: Timestamp::from_millis(first * step_ms),
                until: Timestamp::from_millis(end * step_ms),
                step_s: *step_s,
            })
        };
        STEPS_S.iter().find_map(widened)
    }

    /// Starts of the windows that lie in it, from `from` to `upto` at most.
    pub fn windows(&self, from: Timestamp, upto: Timestamp) -> impl Iterator<Item = Timestamp> {
        let first = self.since.max(Window::of(from).start()).millis();
        let end = self.until.millis().min(upto.millis().saturating_add(1));
        let count = (end - first + Window::LENGTH_MS - 1).max(0) / Window::LENGTH_MS;
        (0..count).map(move |n| Timestamp::from_millis(first + n * Window::LENGTH_MS))
    }

    /// Start of the step that `at` lies in.
    pub fn step_of(&self, at: Timestamp) -> Timestamp {
        let step_ms = i64::from(self.step_s) * 1000;
        Timestamp::from_millis(at.millis() / step_ms * step_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 1440 * MINUTE;
    const NOW: i64 = 1_700_000_000_123;

    fn span(length_ms: i64) -> Option<Span> {
        Span::of(Timestamp::from_millis(NOW - length_ms), Timestamp::from_millis(NOW))
    }

    #[test]
    fn steps_grow_with_the_span() {
        for (length_ms, step_s) in [
            (1, 30),
            (60 * MINUTE, 30),
            (150 * MINUTE, 60),
            (DAY, 300),
            (2 * DAY, 900),
            (7 * DAY, 3_600),
            (31 * DAY, 10_800),
        ] {
            let span = span(length_ms).unwrap();
            assert_eq!(span.step_s, step_s, "{length_ms}");
            let step_ms = i64::from(step_s) * 1000;
            assert_eq!((span.since.millis() % step_ms, span.until.millis() % step_ms), (0, 0));
            assert!(span.since.millis() <= NOW - length_ms && span.until.millis() >= NOW);
            assert!((span.until.millis() - span.since.millis()) / step_ms <= POINTS_MAX);
        }
        assert_eq!((span(0), span(-1), span(31 * DAY + 1)), (None, None, None));
    }

    #[test]
    fn windows_are_those_of_the_error_within_the_span() {
        let span = span(5 * MINUTE).unwrap();
        let starts = |from, upto| -> Vec<i64> {
            let at = Timestamp::from_millis;
            span.windows(at(from), at(upto)).map(Timestamp::millis).collect()
        };
        assert_eq!(starts(0, i64::MAX).len(), 11);
        assert_eq!(starts(0, i64::MAX)[0], span.since.millis());
        let first = 1_699_999_980_000;
        assert_eq!(starts(first + 1, first + 29_999), [first]);
        assert_eq!(starts(first - 1, first), [first - 30_000, first]);
        assert!(starts(0, first - DAY).is_empty() && starts(NOW + DAY, i64::MAX).is_empty());
    }
}
