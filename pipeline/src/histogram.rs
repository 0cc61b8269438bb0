//! Histograms over fixed buckets, cheap enough for the paths that everybody waits on.
//!
//! Values are whole numbers of a small unit (microseconds, events, bytes), so that a sum is one
//! addition. Whoever has many values at once counts them into a [`Batch`] first and touches the
//! shared numbers once.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Buckets that a histogram has room for, the last of all values beyond the bounds.
const BUCKETS_MAX: usize = 20;

/// Upper bounds of durations, in microseconds: 50 µs to 10 s.
pub const MICROSECONDS: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Upper bounds of numbers of events or entries, up to what a flight can hold.
pub const EVENTS: &[u64] = &[1, 4, 16, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384];

/// Upper bounds of sizes, in bytes: 256 B to 16 MiB.
pub const BYTES: &[u64] =
    &[256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24];

/// How often values fell between fixed bounds. Anybody may add and read.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    buckets: [AtomicU64; BUCKETS_MAX],
    sum: AtomicU64,
}

/// A histogram as it stood when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Upper bounds, inclusive, in order.
    pub bounds: &'static [u64],
    /// Values at or below each bound; one number per bound.
    pub cumulative: Vec<u64>,
    /// All values.
    pub count: u64,
    /// Their sum. May be some values ahead of or behind `count` while others add.
    pub sum: u64,
}

impl Histogram {
    /// Nothing observed yet. `bounds` grow, and there are at most 19 of them.
    pub fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() < BUCKETS_MAX, "too many bounds");
        Self { bounds, buckets: Default::default(), sum: AtomicU64::new(0) }
    }

    /// Observes one value.
    pub fn observe(&self, value: u64) {
        self.buckets[position(self.bounds, value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Observes one duration, in microseconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(micros(duration));
    }

    /// Observes all that `batch` has, and empties it.
    pub fn take_in(&self, batch: &mut Batch) {
        for (shared, count) in self.buckets.iter().zip(&mut batch.buckets) {
            if *count > 0 {
                shared.fetch_add(std::mem::take(count), Ordering::Relaxed);
            }
        }
        self.sum.fetch_add(std::mem::take(&mut batch.sum), Ordering::Relaxed);
    }

    /// As it stands. Count and buckets always agree.
    pub fn read(&self) -> Reading {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(self.bounds.len());
        for bucket in &self.buckets[..self.bounds.len()] {
            count += bucket.load(Ordering::Relaxed);
            cumulative.push(count);
        }
        count += self.buckets[self.bounds.len()].load(Ordering::Relaxed);
        Reading { bounds: self.bounds, cumulative, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// Values of one thread on their way into a histogram of the same bounds.
#[derive(Clone, Debug)]
pub struct Batch {
    bounds: &'static [u64],
    buckets: [u64; BUCKETS_MAX],
    sum: u64,
}

impl Batch {
    /// An empty batch.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, buckets: [0; BUCKETS_MAX], sum: 0 }
    }

    /// Observes one duration, in microseconds.
    pub fn observe_duration(&mut self, duration: Duration) {
        let value = micros(duration);
        self.buckets[position(self.bounds, value)] += 1;
        self.sum += value;
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn position(bounds: &[u64], value: u64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_at_or_below_their_bound() {
        let histogram = Histogram::new(EVENTS);
        for value in [0, 1, 2, 4, 5, 16_384, 16_385] {
            histogram.observe(value);
        }
        let reading = histogram.read();
        assert_eq!(reading.cumulative[..3], [2, 4, 5]);
        assert_eq!(reading.cumulative.last(), Some(&6));
        assert_eq!((reading.count, reading.sum), (7, 32_781));
    }

    #[test]
    fn a_batch_adds_what_its_values_would_have_one_by_one() {
        let durations = [0, 50, 51, 999, 70_000_000].map(Duration::from_micros);
        let (one_by_one, at_once) = (Histogram::new(MICROSECONDS), Histogram::new(MICROSECONDS));
        let mut batch = Batch::new(MICROSECONDS);
        for duration in durations {
            one_by_one.observe_duration(duration);
            batch.observe_duration(duration);
        }
        at_once.take_in(&mut batch);
        assert_eq!(at_once.read(), one_by_one.read());
        at_once.take_in(&mut batch);
        assert_eq!(at_once.read().count, 5);
    }
}
