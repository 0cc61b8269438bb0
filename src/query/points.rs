//! Counts over time, ready to be drawn.

use std::collections::BTreeMap;

use errsift_ops::timestamp::Timestamp;

use super::Span;

/// Events of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The step's start.
    pub start: Timestamp,
    /// Events in it, never 0.
    pub count: u64,
}

/// Events of each step of a span in which there were any, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Points {
    /// The span and the length of its steps.
    pub span: Span,
    /// Steps without events are left out.
    pub points: Vec<Point>,
}

/// Sums `counts`, each with a time within its step, by step.
pub fn fold(span: Span, counts: impl IntoIterator<Item = (Timestamp, u64)>) -> Points {
    let mut steps: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for (at, count) in counts {
        *steps.entry(span.step_of(at)).or_default() += count;
    }
    let points = steps.into_iter().filter(|(_, count)| *count > 0);
    Points { span, points: points.map(|(start, count)| Point { start, count }).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_sum_their_windows() {
        let at = Timestamp::from_millis;
        let span = Span { since: at(0), until: at(180_000), step_s: 60 };
        let counts = [(at(30_000), 1), (at(0), 2), (at(60_000), 0), (at(150_000), 4)];
        let points: Vec<_> = fold(span, counts)
            .points
            .iter()
            .map(|point| (point.start.millis(), point.count))
            .collect();
        assert_eq!(points, [(0, 3), (120_000, 4)]);
    }
}
